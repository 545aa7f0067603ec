"""What a check of preflight finds."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is wrong: kubeadm's name of it or ours, and the finding with its remedy.

    ``is_warning``: it does not stop the run. ``may_pass``: time alone may cure it, so it is waited for.
    """

    name: str
    text: str
    is_warning: bool = False
    may_pass: bool = False
