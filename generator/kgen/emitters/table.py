"""The table of emitters. A new form of delivery is a module beside this one and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from kgen.emitters import review_tree, seal_keys, seed, stub, user_data
from kgen.emitters.contract import Emitter

EMITTERS: Mapping[str, tuple[Emitter, ...]] = {
    "render": (user_data.emitter, review_tree.emitter, seal_keys.emitter),
    "seed": (seed.emitter,),
    "publish": (stub.emitter,),
}
"""The emitters of each verb, in the order in which the files of a machine are made."""
