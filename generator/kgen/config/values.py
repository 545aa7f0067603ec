"""Texts of the cluster file that have a syntax of their own: text → value, or the reason why it has none.

Every function returns the value or raises Invalid. Sources: RFC 1123, Go's ``time.ParseDuration``, the Kubernetes API
conventions for names, labels and taints, and what kubeadm's ``config validate`` accepts.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import PurePosixPath

from kgen.config import canonical, durations
from kgen.facts import versions
from kgen.facts.versions import Version
from kgen.reader.kinds import Invalid
from kgen.reader.report import shown

LONGEST_LABEL = 63

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_MICROSECONDS = {
    "ns": 0.001,
    "us": 1,
    "µs": 1,
    "μs": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
}
_LONGEST_DURATION = timedelta(hours=2_562_047)  # Go counts nanoseconds in 63 bits
_REPOSITORY = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?")
_ARGUMENT = re.compile(r"[a-z0-9][a-z0-9-]*")
_ENV_NAME = re.compile(r"[!-<>-~]+")
_QUANTITY = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i|%)?")
_PACKAGE_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+:~_-]*\*?")
_PACKAGE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]*(:[a-z0-9]+)?")
_UNIT_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9:_.-]*(@[A-Za-z0-9:_.-]+)?\.(service|socket|mount|automount|swap|target|path|timer|slice)"
)
_LONGEST_UNIT_NAME = 255
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_URL = re.compile(r"https?://[!-~]+")
_FILE_NAME = re.compile(r"[0-9A-Za-z._+-]+")
_IMAGE = re.compile(
    r"([a-z0-9-]+(\.[a-z0-9-]+)+|localhost)(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})"
)
_BLANKS = re.compile(r"\s")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SYSCTL = re.compile(r"[a-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_TOKEN_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def subdomain(text: str) -> str:
    """Return a lower-case RFC 1123 subdomain of at most 253 characters: names of Nodes, DNS names."""
    if len(text) <= 253 and SUBDOMAIN.fullmatch(text):
        return text
    raise Invalid("K201", f"{shown(text)} is not an RFC 1123 name", _name_hint(text, SUBDOMAIN, "-."))


def dns_label(text: str) -> str:
    """Return a lower-case RFC 1123 label: a subdomain of one part, at most 63 characters."""
    if len(text) <= LONGEST_LABEL and _DNS_LABEL.fullmatch(text):
        return text
    raise Invalid("K201", f"{shown(text)} is not an RFC 1123 label", _name_hint(text, _DNS_LABEL, "-"))


def _name_hint(text: str, pattern: re.Pattern[str], allowed: str) -> str:
    better = re.sub(rf"[^a-z0-9{allowed}]+", "-", text.lower()).strip("-.")
    if better != text and len(better) <= LONGEST_LABEL and pattern.fullmatch(better):
        return f"write {better}"
    characters = f"lower-case letters, digits and {' and '.join(allowed)}"
    return f"use {characters}, a letter or digit at both ends, at most 63 of them"


def node_name(text: str) -> str:
    """Return the name of a machine or pool: it is a hostname too, so at most 63 characters."""
    if len(text) > LONGEST_LABEL:
        hint = "use at most 63: hostnames and the Node's label kubernetes.io/hostname are no longer"
        raise Invalid("K201", f"{shown(text)} has {len(text)} characters", hint)
    return subdomain(text)


def cluster_name(text: str) -> str:
    """Return a name for kubeconfigs and the controller-manager: one word."""
    if not text or _BLANKS.search(text):
        raise Invalid("K226", f"{shown(text)} is not one word", "use a name without blanks")
    return text


def kubernetes_version(text: str) -> Version:
    """Return a version kgen renders, written in full."""
    version = versions.parse_version(text)
    supported = ", ".join(versions.supported_minors())
    newest = str(versions.newest())
    if version is None:
        completed = versions.parse_version(f"v{text}")
        if completed:
            raise Invalid("K202", f"{shown(text)} lacks the leading v", f"write v{text}")
        if re.fullmatch(r"v?[0-9]+(\.[0-9]+)?", text):
            raise Invalid("K202", f"{shown(text)} is not a full version", f"write all three numbers: {newest}")
        if re.match(r"(stable|latest|release|ci)\b", text):
            hint = f"kgen works without a network and cannot look it up; write the version: {newest}"
            raise Invalid("K202", f"{shown(text)} is not a version", hint)
        raise Invalid("K202", f"{shown(text)} is not a version", f"write a release like {newest}")
    if not versions.is_supported(version):
        raise Invalid("K203", f"{version} is not supported", f"supported: {supported}; for example {newest}")
    return version


def duration(text: str) -> timedelta:
    """Return a duration in Go's notation: ``24h``, ``8760h0m0s``, ``1h30m``; zero is ``0``. Never negative."""
    hint = "write hours, minutes and seconds, like 8760h or 1h30m"
    if text == "0":
        return timedelta()
    if text.startswith("-"):
        raise Invalid("K210", f"{shown(text)} is negative", hint)
    parts = _DURATION.findall(text.removeprefix("+"))
    if not parts or "".join(number + unit for number, unit in parts) != text.removeprefix("+"):
        days = re.fullmatch(r"([0-9]{1,5})(d|w|y)", text)
        if days:
            hours = int(days[1]) * {"d": 24, "w": 168, "y": 8760}[days[2]]
            hint = f"the largest unit is the hour: write {hours}h"
        elif re.fullmatch(r"[0-9]+", text):
            hint = f"a unit is missing: {text}s, {text}m or {text}h"
        raise Invalid("K210", f"{shown(text)} is not a duration", hint)
    try:
        value = timedelta(microseconds=sum(float(number) * _MICROSECONDS[unit] for number, unit in parts))
    except OverflowError:
        value = timedelta.max
    if value > _LONGEST_DURATION:
        raise Invalid("K210", f"{shown(text)} is too long", "the longest duration is 2562047h")
    return value


def duration_text(text: str) -> str:
    """Return the text of a duration, for configuration that is passed on as it is. It may be negative."""
    duration(text.removeprefix("-"))
    return text


def go_duration_text(text: str) -> str:
    """Return the text of a duration as Go writes it. It may be negative: the program that reads it decides."""
    return durations.canonical(duration_text(text))


def absolute_path(text: str) -> str:
    """Return an absolute path on a node, without ``..`` and control characters, as written."""
    if not text.startswith("/"):
        raise Invalid("K214", f"{shown(text)} is not an absolute path", "start it with /")
    if ".." in PurePosixPath(text).parts or "\n" in text or ":" in text:
        raise Invalid("K214", f"{shown(text)} cannot be mounted", "write a path without `..`, colon and line break")
    return text


def directory(text: str) -> PurePosixPath:
    """Return an absolute path that is not the root."""
    path = PurePosixPath(absolute_path(text))
    if str(path).lstrip("/") == "":
        raise Invalid("K214", "/ cannot be used for this", "give a directory of its own")
    return path


def label_key(text: str) -> str:
    """Return the key of a label or taint: a name of at most 63 characters, a DNS subdomain and a slash before it."""
    prefix, slash, name = text.rpartition("/")
    good_prefix = not slash or (len(prefix) <= 253 and SUBDOMAIN.fullmatch(prefix))
    if good_prefix and len(name) <= LONGEST_LABEL and _LABEL_WORD.fullmatch(name):
        return text
    hint = "write name or domain/name: letters, digits, - _ and . in the name, at most 63 characters"
    raise Invalid("K215", f"{shown(text)} is not a label key", hint)


def label_value(text: str) -> str:
    """Return the value of a label or taint; may be empty."""
    if not text or (len(text) <= LONGEST_LABEL and _LABEL_WORD.fullmatch(text)):
        return text
    hint = "use letters, digits, - _ and ., a letter or digit at both ends, at most 63 characters"
    raise Invalid("K216", f"{shown(text)} is not a label value", hint)


def image_repository(text: str) -> str:
    """Return a registry, perhaps with a path, without scheme and tag."""
    if _REPOSITORY.fullmatch(text):
        return text
    hint = "write registry.example.com/path: lower case, no scheme, no trailing slash, no tag"
    raise Invalid("K218", f"{shown(text)} is not an image repository", hint)


def image_tag(text: str) -> str:
    """Return the tag of an image, perhaps with a digest behind it."""
    if _IMAGE_TAG.fullmatch(text):
        return text
    raise Invalid("K218", f"{shown(text)} is not an image tag", "letters, digits, - _ and ., at most 128 characters")


def cri_socket(text: str) -> str:
    """Return the URL of the container runtime's socket; a bare path is taken, as by kubeadm."""
    url = f"unix://{text}" if text.startswith("/") else text
    if re.fullmatch(r"unix:///[^\s]+", url):
        return url
    raise Invalid("K219", f"{shown(text)} is not a socket's URL", "write unix:///path/to/the.sock")


def file_path(text: str) -> str:
    """Return the path of a file on this machine."""
    if text and "\0" not in text and "://" not in text:
        return text
    hint = "kgen needs no network: save the file beside the cluster file" if "://" in text else ""
    raise Invalid("K214", f"{shown(text)} is not the path of a file", hint)


def api_resource(text: str) -> str:
    """Return a resource of the API as an EncryptionConfiguration names it: ``secrets``, ``name.group``, ``*.group``."""
    if re.fullmatch(r"[a-z0-9]+(\.[a-z0-9.-]+)?|\*\.([a-z0-9.-]*|\*)", text):
        return text
    raise Invalid(
        "K214",
        f"{shown(text)} is not a resource",
        "write its name in the plural: secrets, or ingresses.networking.k8s.io",
    )


_WORD_START = re.compile(r"(?<=[a-z0-9])([A-Z])")


def argument_name(text: str) -> str:
    """Return the name of a command-line flag, without dashes in front."""
    if _ARGUMENT.fullmatch(text):
        return text
    bare = text.strip().lstrip("-").split("=")[0].split(" ")[0]
    better = bare if _ARGUMENT.fullmatch(bare) else _WORD_START.sub(r"-\1", bare).replace("_", "-").lower()
    hint = f"write {better}" if _ARGUMENT.fullmatch(better) else "write the flag's name without dashes in front"
    if "=" in text:
        hint += "; the value goes below `value:`"
    raise Invalid("K220", f"{shown(text)} is not a flag's name", hint)


def package_version(text: str) -> str:
    """Return a package's version; ``*`` at its end means any text."""
    if _PACKAGE_VERSION.fullmatch(text):
        return text
    raise Invalid("K229", f"{shown(text)} is not a package's version", "write it as apt or dnf list it, or 1.37.2-*")


def package_name(text: str) -> str:
    """Return the name of a package of Debian's or Red Hat's family."""
    if _PACKAGE_NAME.fullmatch(text):
        return text
    hint = "write the name alone, as apt or dnf lists it"
    raise Invalid("K237", f"{shown(text)} is not a package's name", hint)


def unit_name(text: str) -> str:
    """Return the name of a systemd unit, with its suffix (systemd.unit(5)). A template has its instance."""
    if len(text) <= _LONGEST_UNIT_NAME and _UNIT_NAME.fullmatch(text):
        return text
    better = f"{text}.service"
    hint = f"write {better}" if _UNIT_NAME.fullmatch(better) else "write it like chrony.service or backup@db.timer"
    raise Invalid("K238", f"{shown(text)} is not the name of a systemd unit that can be enabled", hint)


def sha256(text: str) -> str:
    """Return a SHA-256 in lower-case hexadecimal."""
    if _SHA256.fullmatch(text):
        return text.lower()
    raise Invalid("K230", f"{shown(text)} is not a SHA-256", "write the 64 hexadecimal digits that sha256sum prints")


def http_url(text: str) -> str:
    """Return an URL of a download."""
    if _URL.fullmatch(text):
        return text
    raise Invalid("K231", f"{shown(text)} is not a URL to download from", "write https://host/path")


def container_image(text: str) -> str:
    """Return an image's reference in full, as containerd knows it: with its registry, and a tag or digest."""
    if _IMAGE.fullmatch(text):
        return text
    hint = "write registry, path and tag: docker.io/library/nginx:1.29"
    raise Invalid("K233", f"{shown(text)} is not a full reference of a container image", hint)


def file_name(text: str) -> str:
    """Return the name of a file, without its directory."""
    if text not in (".", "..") and _FILE_NAME.fullmatch(text):
        return text
    hint = "write the name alone: its directory is given to the bake, by --files"
    raise Invalid("K232", f"{shown(text)} is not a file's name", hint)


def sysctl_name(text: str) -> str:
    """Return the name of a kernel parameter, in the form with dots."""
    if _SYSCTL.fullmatch(text):
        return text
    hint = "write it with dots, like net.core.somaxconn; for others bring a file of /etc/sysctl.d by `files:`"
    raise Invalid("K252", f"{shown(text)} is not the name of a kernel parameter", hint)


def sysctl_value(text: str) -> str:
    """Return the value of a kernel parameter: one line that is not empty."""
    if text.strip() and text.isprintable():
        return text.strip()
    raise Invalid("K252", f"{shown(text)} is not the value of a kernel parameter", "write a number or a text")


def kernel_module(text: str) -> str:
    """Return the name of a kernel module, without parameters."""
    if re.fullmatch("[A-Za-z0-9_-]+", text):
        return text
    hint = "write the name alone; parameters go to a file of /etc/modprobe.d by `files:`"
    raise Invalid("K253", f"{shown(text)} is not the name of a kernel module", hint)


def one_line(text: str) -> str:
    """Return a text without line breaks."""
    if "\n" in text or "\r" in text:
        raise Invalid("K226", "the text has a line break", "write it on one line")
    return text


def machine_uuid(text: str) -> str:
    """Return a UUID in lower case, as Linux shows it in ``/sys/class/dmi/id/product_uuid``."""
    if _UUID.fullmatch(text):
        return text.lower()
    raise Invalid("K235", f"{shown(text)} is not a UUID", "write it as `dmidecode -s system-uuid` prints it")


def env_name(text: str) -> str:
    """Return the name of an environment variable: printable ASCII without ``=``."""
    if _ENV_NAME.fullmatch(text):
        return text
    raise Invalid("K225", f"{shown(text)} is not a variable's name", "use letters, digits and _")


def password_hash(text: str) -> str:
    """Return a crypt(3) hash, or a text that locks the password; the message never shows it."""
    if not text or text[0] in "$!*":
        return text
    raise Invalid("K223", "the value is not a password hash", "give a crypt hash ($6$…), or use plain_text_passwd")


def token_group(text: str) -> str:
    """Return an extra group of a bootstrap token."""
    if _TOKEN_GROUP.fullmatch(text):
        return text
    hint = "write system:bootstrappers:<name>, lower-case letters, digits, - and :"
    raise Invalid("K224", f"{shown(text)} is not a group of bootstrap tokens", hint)


def preflight_check(text: str) -> str:
    """Return the name of a preflight check; kubeadm compares without case."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        return text
    raise Invalid("K226", f"{shown(text)} is not the name of a check", "one name an item, like Swap or Port-6443")


def quantity(text: str) -> str:
    """Return a Kubernetes quantity, or a percentage where the field takes one, as written."""
    if _QUANTITY.fullmatch(text):
        return text
    raise Invalid("K227", f"{shown(text)} is not a quantity", "write a number with a unit, like 500m, 100Mi or 5%")


def canonical_quantity(text: str) -> str:
    """Return a Kubernetes quantity as the API server stores it."""
    found = canonical.quantity(text)
    if found is None:
        raise Invalid("K227", f"{shown(text)} is not a quantity", "write a number with a unit, like 500m or 100Mi")
    return found
