from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest
from tests import clusters

from kgen.errors import InputError
from kgen.model import ApiServer, BootstrapToken, Endpoint, Pki, User
from kgen.pki import inspect, keys
from kgen.pki.plan import plan
from kgen.secrets_bundle.model import digest
from kgen.secrets_bundle.populate import populate
from kgen.secrets_bundle.selection import leaves

from .conftest import NOW

THREE = clusters.three_masters()
DAY = timedelta(days=1)


def with_san(cluster, *sans):
    return replace(cluster, api_server=ApiServer(cert_sans=sans))


def codes(populated):
    return [warning.code for warning in populated.warnings]


def test_everything_is_made_the_first_time():
    made = populate(None, THREE, NOW)
    requests = plan(THREE)
    assert made.changed
    assert (made.reissued, made.warnings) == ((), ())
    assert sorted(made.created) == sorted([*(request.name for request in requests), "sa", "bootstrapTokens[0]"])
    assert [member.name for member in made.bundle.masters] == ["m1", "m2", "m3"]
    assert list(made.bundle.authorities) == ["ca", "front-proxy-ca", "etcd/ca"]
    for request in requests:
        assert not inspect.differences(inspect.decode(made.bundle.entries[request.name].certificate), request)


def test_dates_are_back_dated_at_the_start_and_counted_from_now_at_the_end():
    cluster = replace(THREE, certificate_validity=100 * DAY, ca_certificate_validity=1000 * DAY)
    bundle = populate(None, cluster, NOW + timedelta(microseconds=5)).bundle
    for name, days in (("ca", 1000), ("m2/etcd/peer", 100), ("admin", 100)):
        entry = bundle.entries[name]
        decoded = inspect.decode(entry.certificate)
        assert (entry.not_before, entry.not_after) == (decoded.not_before, decoded.not_after)
        assert (entry.not_before, entry.not_after) == (NOW - timedelta(hours=1), NOW + days * DAY)


def test_a_second_time_nothing_changes(bundle):
    again = populate(bundle, THREE, NOW + DAY)
    assert again.bundle == bundle
    assert (again.changed, again.created, again.reissued, again.warnings) == (False, (), (), ())


def test_nodes_pools_validity_and_algorithm_reissue_nothing(bundle):
    cluster = replace(
        clusters.with_nodes(3),
        certificate_validity=5 * DAY,
        ca_certificate_validity=6 * DAY,
        encryption_algorithm="RSA-2048",
    )
    again = populate(bundle, cluster, NOW)
    assert not again.changed
    assert codes(again) == ["B202"]
    assert "m1/apiserver, m2/apiserver and 30 others keep another algorithm" in again.warnings[0].message


def test_a_new_name_reissues_the_leaves_that_must_say_it_and_keeps_the_rest(bundle):
    again = populate(bundle, with_san(THREE, "new.example.com"), NOW + DAY)
    names = ["m1/apiserver", "m2/apiserver", "m3/apiserver"]
    assert again.reissued == tuple((name, "SAN new.example.com is missing") for name in names)
    assert again.changed
    assert again.created == ()
    changed = {name for name, entry in again.bundle.entries.items() if entry != bundle.entries[name]}
    assert changed == set(names)
    assert again.bundle.entries["m1/apiserver"].key != bundle.entries["m1/apiserver"].key
    assert again.bundle.service_account == bundle.service_account
    assert not populate(again.bundle, with_san(THREE, "new.example.com"), NOW + 2 * DAY).changed


def test_a_name_that_goes_away_reissues_too(bundle):
    moved = replace(THREE, control_plane_endpoint=Endpoint("other.example.com", 6443))
    reasons = dict(populate(bundle, moved, NOW).reissued)
    assert reasons["m1/apiserver"] == "SAN other.example.com is missing; SAN api.prod.example.com is no longer wanted"
    assert len(reasons) == 3


def test_the_order_of_names_in_the_file_has_no_meaning(bundle):
    one = populate(bundle, with_san(THREE, "192.0.2.1", "192.0.2.2"), NOW).bundle
    again = populate(one, with_san(THREE, "192.0.2.2", "192.0.2.1"), NOW)
    assert again.reissued == ()
    assert again.bundle.entries == one.entries


def test_renewal_reissues_what_was_named_and_nothing_else(bundle):
    chosen = leaves(THREE, ["etcd/server", "admin"])
    again = populate(bundle, THREE, NOW + 10 * DAY, renew=chosen)
    assert {name for name, _ in again.reissued} == {"admin", "m1/etcd/server", "m2/etcd/server", "m3/etcd/server"}
    for name, entry in bundle.entries.items():
        assert (again.bundle.entries[name] == entry) == (name not in chosen)
    assert again.bundle.entries["admin"].not_after == NOW + 375 * DAY
    assert not populate(again.bundle, THREE, NOW + 11 * DAY).changed


def test_renewal_takes_the_new_algorithm_and_cas_keep_theirs(bundle):
    cluster = replace(THREE, encryption_algorithm="ECDSA-P384")
    again = populate(bundle, cluster, NOW, renew=leaves(cluster))
    assert again.warnings == ()
    assert {entry.algorithm for entry in again.bundle.certificates.values()} == {"ECDSA-P384"}
    assert again.bundle.authorities == bundle.authorities
    assert again.bundle.service_account == bundle.service_account
    assert inspect.decode(again.bundle.entries["admin"].certificate).algorithm == "ECDSA-P384"


@pytest.mark.parametrize("name", ["ca", "m9/apiserver", "apiserver"])
def test_renewal_of_what_is_no_leaf_is_refused(bundle, name):
    with pytest.raises(InputError, match=name):
        populate(bundle, THREE, NOW, renew=[name])


def test_a_lost_leaf_is_made_again(bundle):
    rest = {name: entry for name, entry in bundle.certificates.items() if name != "m2/kubelet"}
    again = populate(replace(bundle, certificates=rest), THREE, NOW)
    assert again.created == ("m2/kubelet",)
    assert list(again.bundle.certificates) == list(bundle.certificates)


def test_near_and_past_expiry_is_a_warning_and_renews_nothing(bundle):
    assert codes(populate(bundle, THREE, NOW + 335 * DAY)) == []
    near = populate(bundle, THREE, NOW + 336 * DAY)
    assert codes(near) == ["B201"]
    assert "m1/apiserver, m2/apiserver and 30 others expire within 30 days, the first on 2027-03-01" in str(
        near.warnings[0]
    )
    assert "kgen certs renew" in near.warnings[0].hint
    past = populate(bundle, THREE, NOW + 366 * DAY)
    assert codes(past) == ["B201"]
    assert "30 others expired, the first on 2027-03-01" in past.warnings[0].message
    assert not near.changed
    assert not past.changed


def test_a_renewed_leaf_expires_no_later_than_its_ca(bundle):
    late = NOW + 3400 * DAY
    again = populate(bundle, THREE, late, renew=leaves(THREE, ["admin"]))
    assert again.bundle.entries["admin"].not_after == bundle.entries["ca"].not_after == NOW + 3650 * DAY
    assert "B203" in codes(again)


def test_an_expired_ca_issues_nothing(bundle):
    with pytest.raises(InputError, match="its CA 'ca' expired on 2036-02-27"):
        populate(bundle, THREE, NOW + 3650 * DAY, renew=["admin"])
    assert codes(populate(bundle, THREE, NOW + 3651 * DAY)) == ["B201", "B201"]


def test_a_clock_behind_the_bundle_is_warned_about(bundle):
    assert codes(populate(bundle, THREE, NOW - 2 * DAY)) == ["B204"]


def test_without_the_cas_key_a_kept_bundle_works_and_a_new_leaf_is_refused(bundle):
    authorities = {**bundle.authorities, "etcd/ca": replace(bundle.authorities["etcd/ca"], key=None)}
    without = replace(bundle, authorities=authorities)
    kept = populate(without, THREE, NOW)
    assert kept.reissued == kept.created == ()
    assert kept.bundle.authorities["etcd/ca"].key is None
    populate(kept.bundle, THREE, NOW, renew=["admin"])
    with pytest.raises(InputError, match="m1/etcd/peer must be issued, and the bundle has no key of its CA 'etcd/ca'"):
        populate(kept.bundle, THREE, NOW, renew=["m1/etcd/peer"])


def machines(*pairs):
    return replace(THREE, machines=tuple(clusters.master(name, address) for name, address in pairs))


@pytest.mark.parametrize(
    ("masters", "message"),
    [
        ([("m1", "10.0.0.11")], "m2 (10.0.0.12) is gone; m3 (10.0.0.13) is gone"),
        (
            [("m1", "10.0.0.11"), ("m2", "10.0.0.99"), ("m3", "10.0.0.13")],
            "m2 has the address 10.0.0.99 instead of 10.0.0.12",
        ),
        (
            [("m1", "10.0.0.11"), ("m2", "10.0.0.12"), ("m4", "10.0.0.13")],
            "m4 (10.0.0.13) is new; m3 (10.0.0.13) is gone",
        ),
    ],
)
def test_other_masters_are_refused_by_name(bundle, masters, message):
    with pytest.raises(InputError) as caught:
        populate(bundle, machines(*masters), NOW)
    assert caught.value.message.endswith(message)


def test_the_order_of_masters_may_change(bundle):
    again = populate(bundle, machines(("m3", "10.0.0.13"), ("m1", "10.0.0.11"), ("m2", "10.0.0.12")), NOW)
    assert again.reissued == ()
    assert again.bundle.masters == bundle.masters
    assert again.bundle.entries == bundle.entries


def test_one_token_for_each_entry_kept_by_position(bundle, source):
    two = replace(THREE, bootstrap_tokens=(BootstrapToken(), BootstrapToken()))
    more = populate(bundle, two, NOW, source=source)
    assert more.created == ("bootstrapTokens[1]",)
    assert more.bundle.tokens == (bundle.tokens[0], "000001.0123456789abcdef")
    fewer = populate(more.bundle, THREE, NOW)
    assert fewer.changed
    assert fewer.bundle.tokens == bundle.tokens


def test_two_tokens_never_share_an_id(bundle, source):
    tokens = iter(["abcdef.0000000000000000", "abcdef.1111111111111111", "123456.2222222222222222"])
    two = replace(THREE, bootstrap_tokens=(BootstrapToken(), BootstrapToken()))
    made = populate(None, two, NOW, source=replace(source, token=lambda: next(tokens)))
    assert made.bundle.tokens == ("abcdef.0000000000000000", "123456.2222222222222222")


def test_password_hashes_are_kept_while_they_fit(bundle):
    def users(**passwords):
        listed = [User({"name": name}, password) for name, password in passwords.items()]
        return replace(THREE, users=(User({"name": "default"}), *listed))

    first = populate(bundle, users(ann="test-only-1", bob="test-only-2"), NOW)
    assert first.created == ("passwordHashes.ann", "passwordHashes.bob")
    assert not populate(first.bundle, users(ann="test-only-1", bob="test-only-2"), NOW).changed
    second = populate(first.bundle, users(bob="changed", ann="test-only-1"), NOW)
    assert second.created == ("passwordHashes.bob",)
    assert second.bundle.password_hashes["ann"] == first.bundle.password_hashes["ann"]
    assert populate(second.bundle, THREE, NOW).bundle.password_hashes == {}


def test_the_digest_covers_keys_dates_and_requests(bundle):
    requests = plan(THREE)
    assert bundle.verified == digest(bundle, requests)
    admin = bundle.certificates["admin"]
    for changed in (
        replace(admin, key="x"),
        replace(admin, certificate="x"),
        replace(admin, not_after=NOW),
        replace(admin, algorithm="RSA-2048"),
    ):
        other = replace(bundle, certificates={**bundle.certificates, "admin": changed})
        assert digest(other, requests) != bundle.verified
    assert (
        digest(replace(bundle, service_account=replace(bundle.service_account, key="x")), requests) != bundle.verified
    )
    assert digest(bundle, requests[1:]) != bundle.verified


def test_dates_and_algorithms_altered_by_hand_are_set_right_from_the_certificates(bundle):
    wrong = replace(bundle.certificates["admin"], not_after=NOW + 9999 * DAY, algorithm="RSA-4096")
    again = populate(replace(bundle, certificates={**bundle.certificates, "admin": wrong}), THREE, NOW)
    assert again.bundle == bundle
    assert again.changed


def test_rsa_keys_are_made_in_parallel_and_reported(source):
    cluster = replace(clusters.one_master(), encryption_algorithm="RSA-2048")
    small = keys.generate("ECDSA-P256")
    seen = []
    made = populate(
        None, cluster, NOW, source=replace(source, key=lambda algorithm: small), progress=lambda *at: seen.append(at)
    )
    total = len(plan(cluster)) + 1
    assert seen == [(number, total) for number in range(1, total + 1)]
    assert made.bundle.service_account.public == keys.public_pem(small)


def test_addresses_of_masters_are_remembered_as_text():
    cluster = replace(THREE, machines=(clusters.master("m1", "2001:DB8:0::1"), *THREE.machines[1:]))
    assert cluster.masters[0].address != IPv4Address("10.0.0.11")
    assert populate(None, cluster, NOW).bundle.masters[0].address == "2001:db8::1"


def test_serving_certificates_come_and_go_with_their_machines(source):
    cluster = replace(clusters.with_nodes(2, clusters.one_master()), pools=())
    on = replace(cluster, pki=Pki(kubelet_serving_certificates=True))
    without = populate(None, cluster, NOW, source=source).bundle
    bundle = populate(without, on, NOW, source=source).bundle
    assert bundle.certificates.keys() - without.certificates.keys() == {
        f"{name}/kubelet-serving" for name in ("m1", "w1", "w2")
    }
    fewer = populate(bundle, replace(on, machines=on.machines[:2]), NOW, source=source)
    assert fewer.changed
    assert bundle.certificates.keys() - fewer.bundle.certificates.keys() == {"w2/kubelet-serving"}
    assert populate(fewer.bundle, cluster, NOW, source=source).bundle.certificates == without.certificates
