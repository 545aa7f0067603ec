import hashlib
import io

import pytest

from kgen.errors import KgenError
from kgen.running import etcd_snapshot
from kgen.running.servers import Server

DATA = bytes(range(256)) * 48
WHOLE = DATA + hashlib.sha256(DATA).digest()
SERVER = Server("https://10.0.0.11:2379")


def copied(monkeypatch, *parts):
    monkeypatch.setattr(etcd_snapshot, "_parts", lambda server, context: iter(parts))
    file = io.BytesIO()
    return etcd_snapshot._copy(SERVER, None, file), file.getvalue()


@pytest.mark.parametrize("split", [0, 1, 40, len(WHOLE) - 33, len(WHOLE) - 32, len(WHOLE) - 1])
def test_a_whole_snapshot_is_accepted_however_it_is_split(monkeypatch, split):
    assert copied(monkeypatch, WHOLE[:split], WHOLE[split:]) == (len(WHOLE), WHOLE)


@pytest.mark.parametrize("damaged", [WHOLE[:-1], WHOLE[:-32], WHOLE[:4128], b"", WHOLE.replace(b"\x01", b"\x02", 1)])
def test_a_damaged_snapshot_is_refused(monkeypatch, damaged):
    with pytest.raises(KgenError, match="checksum does not match"):
        copied(monkeypatch, damaged)


def test_a_connection_that_ends_early_is_reported_in_a_sentence(monkeypatch):
    def parts(server, context):
        yield WHOLE[:100]
        raise ConnectionResetError("reset")

    monkeypatch.setattr(etcd_snapshot, "_parts", parts)
    with pytest.raises(KgenError, match="ended early"):
        etcd_snapshot._copy(SERVER, None, io.BytesIO())


def test_a_member_without_a_leader_is_passed_over(monkeypatch, tmp_path):
    other = Server("https://10.0.0.12:2379")
    answers = {SERVER: {"header": {"revision": "7"}}, other: {"header": {"revision": "9"}, "leader": "5"}}
    monkeypatch.setattr(etcd_snapshot, "_context", lambda cluster, bundle: None)
    monkeypatch.setattr(etcd_snapshot, "_post", lambda server, context, path: answers[server])
    monkeypatch.setattr(etcd_snapshot, "_write", lambda server, context, path: 1)
    assert etcd_snapshot.take(None, None, (SERVER, other), tmp_path / "s.db").revision == 9
    with pytest.raises(KgenError, match="it has no leader"):
        etcd_snapshot.take(None, None, (SERVER,), tmp_path / "s.db")


def test_an_answer_that_is_not_etcds_is_reported_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(etcd_snapshot, "_context", lambda cluster, bundle: None)
    monkeypatch.setattr(etcd_snapshot, "_post", lambda server, context, path: {})
    with pytest.raises(KgenError, match="does not answer as etcd does"):
        etcd_snapshot.take(None, None, (SERVER,), tmp_path / "s.db")
