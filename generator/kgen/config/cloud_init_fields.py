"""``cloudInit:``: cloud-init's own keys, which go into the documents as they are.

Keys: https://docs.cloud-init.io/en/latest/reference/modules.html. cloud-init's schema checks their values
(rules/cloud_init.py); this table says which of them fit beside a first boot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

from kgen.reader.kinds import BAD, Kind, Schema
from kgen.reader.objects import Field, Foreign, Object
from kgen.reader.report import Report
from kgen.reader.tree import Mapping, Node, Scalar


@dataclass(frozen=True)
class AsCloudInit(Kind):
    """Any value, read as cloud-init reads it: YAML 1.1 of PyYAML. Dates stay texts."""

    what: str = "as in cloud-init"

    def read(self, node: Node, report: Report) -> Any:
        """Return the value."""
        if isinstance(node, Mapping):
            return {key: self.read(value, report) for key, (_, value) in node.entries.items()}
        if not isinstance(node, Scalar):
            return [self.read(item, report) for item in node.items]
        value = self._plain(node.text) if node.is_plain else node.text
        if isinstance(value, float) and value - value != 0:
            report.error(
                node, "K503", f"{node.text} is a number that JSON does not have", "put it in quotes if it is a text"
            )
            return BAD
        return value

    def _plain(self, text: str) -> Any:
        try:
            value = yaml.load(text, Loader=yaml.CSafeLoader)
        except (yaml.YAMLError, ValueError):
            return text
        return text if isinstance(value, date | list | dict) else value

    def schema(self) -> Schema:
        """Return a schema that takes everything."""
        return {}


_NAME = Foreign("the hostname is `name:` of the machine; `hostname:` of the cluster switches that off", "is kgen's")
_STAGES = Foreign("remove it: the first boot needs the stages' usual modules", "cannot be changed")
RUNCMD_AFTER = "runcmd_after"
_HELP = {
    "apk_repos": "repositories of Alpine",
    "apt": "repositories and settings of apt",
    "bootcmd": "commands at every boot, before files are written",
    "ca_certs": "CA certificates that the machine trusts; containerd is restarted",
    "chpasswd": "passwords of users",
    "device_aliases": "names for disks, for disk_setup and fs_setup",
    "disable_root": "forbid logging in as root by SSH",
    "disable_root_opts": "what SSH says to root",
    "disk_setup": "partition tables",
    "final_message": "what the console says at the end",
    "fs_setup": "file systems",
    "groups": "groups of users",
    "growpart": "partitions that grow",
    "keyboard": "the console's keyboard",
    "locale": "the locale",
    "locale_configfile": "the file that holds it",
    "manage_etc_hosts": "how /etc/hosts is kept",
    "manage_resolv_conf": "write resolv_conf",
    "mount_default_fields": "what an entry of mounts leaves out",
    "mounts": "entries of /etc/fstab",
    "no_ssh_fingerprints": "print no fingerprints of host keys",
    "package_reboot_if_required": "reboot after packages that ask for it",
    "package_update": "refresh the lists of packages",
    "package_upgrade": "upgrade all packages",
    "packages": "packages to install, before the first boot",
    "phone_home": "a request at the end",
    "power_state": "what the machine does when its first boot is done",
    "random_seed": "a seed for the kernel",
    "resize_rootfs": "grow the root file system",
    "resolv_conf": "the resolver's settings",
    "rsyslog": "settings of rsyslog",
    "runcmd": "commands before the first boot",
    "snap": "snaps and their assertions",
    "ssh_authorized_keys": "keys of the image's default user",
    "ssh_deletekeys": "remove the image's host keys",
    "ssh_genkeytypes": "kinds of host keys to make",
    "ssh_keys": "host keys",
    "ssh_publish_hostkeys": "tell the provider the host keys",
    "ssh_pwauth": "allow passwords with SSH",
    "swap": "a swap file",
    "timezone": "the time zone",
    "write_files": "files before the first boot; `files:` is checked better",
    "yum_repo_dir": "where repositories of yum are",
    "yum_repos": "repositories of yum",
    "zypper": "repositories of zypper",
}
CLOUD_INIT = Object(
    (
        *(Field(key, AsCloudInit(), text) for key, text in _HELP.items()),
        Field(RUNCMD_AFTER, AsCloudInit(), "kgen's own key: commands as in runcmd, after the first boot is done"),
    ),
    what="a mapping of cloud-init's keys",
    foreign={
        **dict.fromkeys(("hostname", "fqdn", "preserve_hostname", "create_hostname_file"), _NAME),
        "prefer_fqdn_over_hostname": _NAME,
        **dict.fromkeys(("cloud_init_modules", "cloud_config_modules", "cloud_final_modules"), _STAGES),
        "users": Foreign("use `users:` of the cluster"),
        "user": Foreign("use `users:` of the cluster"),
        "password": Foreign("use `users:` of the cluster, or chpasswd"),
        "ntp": Foreign("use `ntp:` of the cluster"),
        "merge_how": Foreign("remove it: the document is one part", "is not needed"),
        "ca-certs": Foreign("spell it with an underscore", stands_for="ca_certs"),
        "apt_update": Foreign("use package_update", stands_for="package_update"),
        "apt_upgrade": Foreign("use package_upgrade", stands_for="package_upgrade"),
    },
    is_plain=True,
)
