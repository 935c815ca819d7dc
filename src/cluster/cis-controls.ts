/**
 * The controls of the CIS Kubernetes Benchmark (v1.10), one a line: number, subject, how it is judged. The first word names a
 * judge (cis.ts, cis-workloads.ts), what follows is for it; or it is a verdict that holds for every cluster, with its reason.
 */
export const CIS_CONTROLS = `\
1.1.1	API server Pod specification: permissions	manifest kube-apiserver mode
1.1.2	API server Pod specification: ownership	manifest kube-apiserver owner
1.1.3	Controller manager Pod specification: permissions	manifest kube-controller-manager mode
1.1.4	Controller manager Pod specification: ownership	manifest kube-controller-manager owner
1.1.5	Scheduler Pod specification: permissions	manifest kube-scheduler mode
1.1.6	Scheduler Pod specification: ownership	manifest kube-scheduler owner
1.1.7	etcd Pod specification: permissions	manifest etcd mode
1.1.8	etcd Pod specification: ownership	manifest etcd owner
1.1.9	CNI file: permissions	mode cni/10-k8ts.conflist 600
1.1.10	CNI file: ownership	owner cni/10-k8ts.conflist
1.1.11	Data directory of the store: permissions	data mode
1.1.12	Data directory of the store: ownership	data owner
1.1.13	Administrator's kubeconfig: permissions	mode admin.conf 600
1.1.14	Administrator's kubeconfig: ownership	owner admin.conf
1.1.15	Scheduler's kubeconfig: permissions	mode scheduler.conf 600
1.1.16	Scheduler's kubeconfig: ownership	owner scheduler.conf
1.1.17	Controller manager's kubeconfig: permissions	mode controller-manager.conf 600
1.1.18	Controller manager's kubeconfig: ownership	owner controller-manager.conf
1.1.19	PKI directory and files: ownership	owner pki/*
1.1.20	Certificates: permissions	mode pki/*.crt 644
1.1.21	Private keys: permissions	mode pki/*.key 600
1.2.1	--anonymous-auth is false	flag apiserver anonymous-auth false
1.2.2	--token-auth-file is not set	flag apiserver !token-auth-file
1.2.3	DenyServiceExternalIPs is set	flag apiserver enable-admission-plugins ~DenyServiceExternalIPs
1.2.4	--kubelet-client-certificate and --kubelet-client-key are set	flag apiserver kubelet-client-certificate
1.2.5	--kubelet-certificate-authority is set	flag apiserver kubelet-certificate-authority
1.2.6	--authorization-mode is not AlwaysAllow	authorizer !AlwaysAllow
1.2.7	--authorization-mode includes Node	authorizer Node
1.2.8	--authorization-mode includes RBAC	authorizer RBAC
1.2.9	Admission plug-in EventRateLimit	flag apiserver enable-admission-plugins ~EventRateLimit
1.2.10	Admission plug-in AlwaysAdmit is not set	not apiserver enable-admission-plugins AlwaysAdmit
1.2.11	Admission plug-in AlwaysPullImages	flag apiserver enable-admission-plugins ~AlwaysPullImages
1.2.12	Admission plug-in ServiceAccount	not apiserver disable-admission-plugins ServiceAccount
1.2.13	Admission plug-in NamespaceLifecycle	not apiserver disable-admission-plugins NamespaceLifecycle
1.2.14	Admission plug-in NodeRestriction	flag apiserver enable-admission-plugins ~NodeRestriction
1.2.15	--profiling is false	pass There is no profiling endpoint
1.2.16	--audit-log-path is set	flag apiserver audit-log-path
1.2.17	--audit-log-maxage is 30 or more	least apiserver audit-log-maxage 30
1.2.18	--audit-log-maxbackup is 10 or more	least apiserver audit-log-maxbackup 10
1.2.19	--audit-log-maxsize is 100 or more	least apiserver audit-log-maxsize 100
1.2.20	--request-timeout is appropriate	pass Requests that are not watches end by priority and fairness
1.2.21	--service-account-lookup is true	pass Accounts, Pods and Secrets of tokens are looked up at each request
1.2.22	--service-account-key-file is set	flag apiserver service-account-key-file
1.2.23	--etcd-certfile and --etcd-keyfile	etcd-client etcd-certfile etcd-keyfile
1.2.24	--tls-cert-file and --tls-private-key-file	flag apiserver tls-cert-file
1.2.25	--client-ca-file	flag apiserver client-ca-file
1.2.26	--etcd-cafile	etcd-client etcd-cafile
1.2.27	--encryption-provider-config	flag apiserver encryption-provider-config
1.2.28	Encryption providers are appropriate	encryption
1.2.29	Strong cipher suites	pass TLS 1.2 and later with the suites of Node.js, which are forward secret by preference
1.3.1	--terminated-pod-gc-threshold is appropriate	pass 12500, upstream's default
1.3.2	--profiling is false	pass There is no profiling endpoint
1.3.3	--use-service-account-credentials is true	flag controller-manager use-service-account-credentials true
1.3.4	--service-account-private-key-file	flag controller-manager service-account-private-key-file
1.3.5	--root-ca-file	flag controller-manager root-ca-file
1.3.6	RotateKubeletServerCertificate	pass Serving certificates are renewed by the cluster's signer and by the supervisor; no gate switches that off
1.3.7	--bind-address is 127.0.0.1	flag controller-manager bind-address 127.0.0.1
1.4.1	--profiling is false	pass There is no profiling endpoint
1.4.2	--bind-address is 127.0.0.1	flag scheduler bind-address 127.0.0.1
2.1	etcd: --cert-file and --key-file	etcd cert-file key-file
2.2	etcd: --client-cert-auth	etcd client-cert-auth=true
2.3	etcd: --auto-tls is not true	etcd !auto-tls=true
2.4	etcd: --peer-cert-file and --peer-key-file	etcd peer-cert-file peer-key-file
2.5	etcd: --peer-client-cert-auth	etcd peer-client-cert-auth=true
2.6	etcd: --peer-auto-tls is not true	etcd !peer-auto-tls=true
2.7	etcd: an authority of its own	etcd-authority
3.1.1	Client certificates are not for people	people
3.1.2	Service account tokens are not for people	lasting-tokens
3.1.3	Bootstrap tokens are not for people	bootstrap-tokens
3.2.1	There is an audit policy	flag apiserver audit-policy-file
3.2.2	The audit policy covers what matters	audit
4.1.1	Kubelet service file: permissions	n/a The kubelet is a process of the supervisor
4.1.2	Kubelet service file: ownership	n/a The kubelet is a process of the supervisor
4.1.3	Proxy's kubeconfig: permissions	mode proxy.conf 600
4.1.4	Proxy's kubeconfig: ownership	owner proxy.conf
4.1.5	Kubelet's kubeconfig: permissions	mode kubelet.conf 600
4.1.6	Kubelet's kubeconfig: ownership	owner kubelet.conf
4.1.7	Certificate authority file: permissions	mode pki/ca.crt 644
4.1.8	Certificate authority file: ownership	owner pki/ca.crt
4.1.9	Kubelet configuration: permissions	mode kubelet.json 600
4.1.10	Kubelet configuration: ownership	owner kubelet.json
4.2.1	Kubelet: anonymous authentication is off	kubelet authentication.anonymous.enabled false
4.2.2	Kubelet: authorization mode is not AlwaysAllow	kubelet authorization.mode Webhook
4.2.3	Kubelet: client authority is set	kubelet authentication.x509.clientCAFile
4.2.4	Kubelet: no read-only port	pass There is no read-only port
4.2.5	Kubelet: streaming connections end when idle	fail Idle streams are not ended
4.2.6	Kubelet: makes iptables utility chains	n/a The proxy makes what it needs
4.2.7	Kubelet: --hostname-override is not set	flag kubelet !hostname-override
4.2.8	Kubelet: event record rate is appropriate	pass Events are aggregated and rate limited as upstream's
4.2.9	Kubelet: TLS certificate files are set	flag kubelet tls-cert-file
4.2.10	Kubelet: client certificates rotate	pass The supervisor renews certificates two months before they lapse; joined nodes rotate theirs
4.2.11	Kubelet: server certificate rotation	pass The same
4.2.12	Kubelet: strong cipher suites	pass TLS 1.2 and later with the suites of Node.js
4.2.13	Kubelet: limit of process ids per Pod	kubelet podPidsLimit
4.2.14	Kubelet: seccomp by default	kubelet seccompDefault true
4.3.1	Proxy: metrics on 127.0.0.1	loopback proxy metrics-bind-address
5.1.1	cluster-admin only where needed	administrators
5.1.2	Few may read Secrets	right secrets
5.1.3	Few wildcards in roles	wildcards
5.1.4	Few may create Pods	right pods
5.1.5	Default service accounts are not used	default-accounts
5.1.6	Tokens are mounted only where needed	mounted-tokens
5.1.7	system:masters is not used	masters
5.1.8	Few may bind, impersonate and escalate	right escalation
5.1.9	Few may create PersistentVolumes	right volumes
5.1.10	Few may use nodes/proxy	right node-proxy
5.1.11	Few may approve certificate requests	right approval
5.1.12	Few may change webhook configurations	right webhooks
5.1.13	Few may create tokens of accounts	right tokens
5.2.1	There is a mechanism of policy control	not apiserver disable-admission-plugins PodSecurity
5.2.2	No privileged containers	enforces baseline
5.2.3	No host process ids	enforces baseline
5.2.4	No host IPC	enforces baseline
5.2.5	No host network	enforces baseline
5.2.6	No privilege escalation	enforces restricted
5.2.7	No root containers	enforces restricted
5.2.8	No NET_RAW capability	enforces restricted
5.2.9	No added capabilities	enforces baseline
5.2.10	No capabilities at all	enforces restricted
5.2.11	No Windows HostProcess containers	windows baseline
5.2.12	No HostPath volumes	enforces baseline
5.2.13	No host ports	enforces baseline
5.3.1	The CNI plug-in supports network policies	policy-engine
5.3.2	All namespaces have network policies	network-policies
5.4.1	Secrets as files rather than variables	secret-variables
5.4.2	External secret storage	external-secrets
5.5.1	ImagePolicyWebhook judges images	flag apiserver enable-admission-plugins ~ImagePolicyWebhook
5.7.1	Namespaces separate what is separate	boundaries
5.7.2	Seccomp profiles are set	seccomp
5.7.3	Security contexts are set	security-contexts
5.7.4	The default namespace is not used	default-namespace
`;
