"""What of systemd a kubelet talks to, on a message bus of a test: slices; delay locks and the signal of a shutdown."""

import json
import os

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

MANAGER = "org.freedesktop.login1.Manager"
SLICES = "org.freedesktop.systemd1.Manager"
INHIBIT_DELAY_MAX_US = 60_000_000


class Manager(dbus.service.Object):
    def __init__(self, bus):
        super().__init__(bus, "/org/freedesktop/login1")
        self.locks = {}

    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        if (interface, name) != (MANAGER, "InhibitDelayMaxUSec"):
            raise dbus.DBusException("Unknown property", name="org.freedesktop.DBus.Error.UnknownProperty")
        return dbus.UInt64(INHIBIT_DELAY_MAX_US)

    @dbus.service.method(MANAGER, in_signature="ssss", out_signature="h")
    def Inhibit(self, what, who, why, mode):
        read_end, write_end = os.pipe()
        self.locks[read_end] = (what, who, why, mode)
        # Whoever holds the lock closes its end, or dies.
        GLib.io_add_watch(read_end, GLib.IO_HUP, self.released)
        handed = dbus.types.UnixFd(write_end)
        os.close(write_end)
        return handed

    def released(self, read_end, _condition):
        del self.locks[read_end]
        os.close(read_end)
        return False

    @dbus.service.method(MANAGER, out_signature="a(ssssuu)")
    def ListInhibitors(self):
        rows = [(*lock, dbus.UInt32(0), dbus.UInt32(0)) for lock in self.locks.values()]
        return dbus.Array(rows, signature="(ssssuu)")

    @dbus.service.method(MANAGER, in_signature="b")
    def PowerOff(self, _interactive):
        self.PrepareForShutdown(True)

    @dbus.service.method(MANAGER)
    def CancelScheduledShutdown(self):
        self.PrepareForShutdown(False)

    @dbus.service.signal(MANAGER, signature="b")
    def PrepareForShutdown(self, start):
        pass


class Slices(dbus.service.Object):
    def __init__(self, bus):
        super().__init__(bus, "/org/freedesktop/systemd1")
        self.units = {}

    @dbus.service.method(SLICES, in_signature="ssa(sv)a(sa(sv))", out_signature="o")
    def StartTransientUnit(self, name, mode, properties, _auxiliary):
        if name in self.units:
            raise dbus.DBusException(
                f"Unit {name} was already loaded or has a fragment file.",
                name="org.freedesktop.systemd1.UnitExists",
            )
        self.units[name] = {key: value for key, value in properties}
        return "/org/freedesktop/systemd1/job/1"

    @dbus.service.method(SLICES, in_signature="sba(sv)")
    def SetUnitProperties(self, name, _runtime, properties):
        self.units[name].update({key: value for key, value in properties})

    @dbus.service.method(SLICES, in_signature="ss", out_signature="o")
    def StopUnit(self, name, _mode):
        if name not in self.units:
            raise dbus.DBusException(f"Unit {name} not loaded.", name="org.freedesktop.systemd1.NoSuchUnit")
        del self.units[name]
        return "/org/freedesktop/systemd1/job/2"

    @dbus.service.method("k8ts.Test", out_signature="s")
    def Units(self):
        return json.dumps(self.units)


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
names = [dbus.service.BusName(f"org.freedesktop.{name}", bus) for name in ("login1", "systemd1")]
objects = [Manager(bus), Slices(bus)]
GLib.MainLoop().run()
