import { type FieldError, invalid, required } from '../api/field-errors.ts';
import { portNumber } from '../api/names.ts';
import type { WebhookClientConfig } from './webhook-client.ts';

/** Where a webhook is (admissionregistration and apiextensions validate it alike). */
export function validateClientConfig(client: WebhookClientConfig, at: string): FieldError[] {
  const { url, service } = client;
  if ((url === undefined) === (service === undefined)) {
    return [required(at, 'exactly one of url or service is required')];
  }
  if (url !== undefined) return validateUrl(url, `${at}.url`);
  const port = service?.port ?? 0;
  const out = [
    ...(service?.name ? [] : [required(`${at}.service.name`, 'service name is required')]),
    ...(service?.namespace
      ? []
      : [required(`${at}.service.namespace`, 'service namespace is required')]),
  ];
  if (portNumber(port).length > 0) {
    out.push(
      invalid(
        `${at}.service.port`,
        port,
        'port is not valid: must be between 1 and 65535, inclusive',
      ),
    );
  }
  return out;
}

function validateUrl(text: string, field: string): FieldError[] {
  const form = 'desired format: https://host[/path]';
  if (!URL.canParse(text)) return [required(field, `url must be a valid URL: ${form}`)];
  const url = new URL(text);
  const out: FieldError[] = [];
  if (url.protocol !== 'https:') {
    const scheme = url.protocol.slice(0, -1);
    out.push(invalid(field, scheme, `'https' is the only allowed URL scheme; ${form}`));
  }
  if (url.username || url.password) {
    out.push(invalid(field, url.username, 'user information is not permitted in the URL'));
  }
  if (url.hash)
    out.push(invalid(field, url.hash.slice(1), 'fragments are not permitted in the URL'));
  if (url.search) {
    out.push(invalid(field, url.search.slice(1), 'query parameters are not permitted in the URL'));
  }
  return out;
}
