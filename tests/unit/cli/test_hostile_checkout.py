"""``kgen`` in a checkout of somebody else: nothing of the user is written, removed or printed."""

import json

import pytest


@pytest.mark.parametrize("verb", ["render", "bake"])
@pytest.mark.parametrize("target", ["../../prod.secrets.yaml", "../../../home/.ssh/authorized_keys"])
@pytest.mark.parametrize("kind", ["create", "update", "remove"])
def test_journal_in_the_checkout_changes_no_file_of_the_user(kgen, here, monkeypatch, verb, target, kind):
    checkout = here / "checkout"
    (checkout / "outputs/prod/.kgen-new").mkdir(parents=True)
    (checkout / "prod.yaml").write_text((here / "prod.yaml").read_text())
    (here / "home/.ssh").mkdir(parents=True)
    theirs = checkout / "outputs/prod" / target
    theirs.write_text("theirs")
    if target.endswith(".secrets.yaml") and verb == "render":
        theirs.unlink()
        monkeypatch.chdir(here)
        assert kgen("render", "checkout/prod.yaml", "--output", "elsewhere").code == 0
    before = theirs.read_bytes()
    monkeypatch.chdir(checkout)
    staging = checkout / "outputs/prod/.kgen-new"
    (staging / "0.old").write_text("evil")
    (staging / "journal").write_text(json.dumps({"changes": [[target, kind]], "directories": []}))
    ended = kgen(verb, "prod.yaml")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(
        "error: outputs/prod/.kgen-new/journal is damaged\n  hint: move outputs/prod away and render again: "
    )
    assert theirs.read_bytes() == before


def test_outputs_that_is_a_link_leads_nowhere(kgen, here):
    (here / "home/prod").mkdir(parents=True, mode=0o755)
    (here / "outputs").symlink_to("home")
    ended = kgen("render", "prod.yaml")
    assert ended.code == 1
    assert "error: outputs is a symbolic link; nothing was written" in ended.err
    assert (here / "home/prod").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in here.iterdir()) == ["home", "outputs", "prod.yaml"]
    assert kgen("render", "prod.yaml", "--output", "home").code == 0
