import pytest
from tests.unit.config.broken_cases import BASE

from kgen.config import manifests
from kgen.config.kubernetes_yaml import documents, plain
from kgen.config.load import load
from kgen.errors import ProblemsError

OBJECTS = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hooks, namespace: ignored}
---
{"apiVersion": "example.com/v1", "kind": "Odd", "metadata": {"name": "one", "namespace": "shop"}, "spec": {"n": 1e3}}
---
# nothing
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {on: off}}
  - {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
""".replace("{on: off}", '{"on": "off"}')
DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: odds.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Odd, plural: oddities}
  versions: [{name: v1, served: true, storage: true}]
"""


@pytest.fixture
def cluster_of(tmp_path):
    """Load a cluster file in a directory of its own with manifests below."""

    def load_with(**files):
        (tmp_path / "net").mkdir()
        for name, text in files.items():
            (tmp_path / f"net/{name}.yaml").write_text(text)
        names = ", ".join(f"net/{name}.yaml" for name in files)
        (tmp_path / "cluster.yaml").write_text(f"{BASE}manifests: [{names}]\n")
        return load(tmp_path / "cluster.yaml").cluster

    return load_with


def test_objects_are_in_the_order_in_which_they_can_be_created(cluster_of):
    cluster = cluster_of(objects=OBJECTS, definition=DEFINITION)
    assert [(entry.collection, entry.body["metadata"]["name"]) for entry in cluster.manifests] == [
        ("/api/v1/namespaces", "shop"),
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "odds.example.com"),
        ("/api/v1/namespaces/default/configmaps", "settings"),
        ("/apis/example.com/v1/namespaces/shop/oddities", "one"),
        ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "hooks"),
    ]


def test_objects_keep_their_text_except_the_namespace(cluster_of):
    namespace, _, settings, odd, hooks = cluster_of(objects=OBJECTS, definition=DEFINITION).manifests
    assert settings.body["metadata"] == {"name": "settings", "namespace": "default"}
    assert settings.body["data"] == {"on": "off"}
    assert odd.body["spec"] == {"n": 1000}
    assert "namespace" not in hooks.body["metadata"]
    assert namespace.place.endswith("net/objects.yaml:13:5")


def test_paths_are_relative_to_the_cluster_file_or_absolute(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")
    for path in ("../a.yaml", tmp_path / "a.yaml"):
        (tmp_path / "deep/cluster.yaml").write_text(f"{BASE}manifests: ['{path}']\n")
        assert len(load(tmp_path / "deep/cluster.yaml").cluster.manifests) == 1


def test_files_in_another_encoding_or_without_end_are_refused(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    with (tmp_path / "endless.yaml").open("wb") as file:
        file.truncate(2**24 + 1)
    (tmp_path / "cluster.yaml").write_text(f"{BASE}manifests: [latin.yaml, endless.yaml, '{tmp_path}/x\\0']\n")
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path / "cluster.yaml")
    messages = [problem.message for problem in caught.value.problems]
    assert "not UTF-8 text from line 2 on" in messages[0]
    assert "larger than" in messages[1]


def test_no_problem_shows_a_value_of_a_secret(cluster_of):
    secret = "hunter2-test-only"
    body = f"data: {{a: !x {secret}, b: {secret}, b: {secret}, c: [{secret}]}}"
    with pytest.raises(ProblemsError) as caught:
        cluster_of(secret=f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\n{body}\n")
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("y", "Yes", "on", "TRUE")),
        *((text, False) for text in ("n", "NO", "Off", "false")),
        *((text, None) for text in ("", "~", "Null")),
        *((text, text) for text in ("yEs", "1:30", "2001-12-14", "_1", "0o8", "1e400", "1.2.3", "-", "0x", "²", "٣")),
        ("0644", 420),
        ("0o17", 15),
        ("-0x1F", -31),
        ("0b101", 5),
        ("1_000", 1000),
        ("09", 9),
        ("1e3", 1000),
        (".5", 0.5),
        ("1.5e-3", 0.0015),
        ("9223372036854775808", 9223372036854775808),
        ("18446744073709551616", 18446744073709551616.0),
    ],
)
def test_unquoted_values_are_what_kubectl_takes_them_for(text, value):
    assert (plain(text), type(plain(text))) == (value, type(value))


def test_merge_keys_count_where_they_stand():
    (document,), flaws = documents("b: &b {x: 1}\nc: &c {x: 2, z: 2}\nm: {<<: [*b, *c], z: 3}\n")
    assert not flaws
    assert document.value["m"] == {"x": 1, "z": 3}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 300 + "]" * 300, "K009"),
        ("[" * 100_000, "K009"),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n", ""),
        ("".join(f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 10)}]\n" for n in range(9)), "K007"),
        ("a: \x07", "K010"),
        ("a: *nothing", "K001"),
        ("a: &a [*a]", "K009"),
    ],
)
def test_files_that_would_explode_are_refused(text, code):
    _, flaws = documents("a0: &a0 [x]\n" + text if code == "K007" else text)
    assert [flaw.code for flaw in flaws] == ([code] if code else [])


def test_a_large_file_is_read_in_linear_time(tmp_path):
    text = "---\n".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}}}\ndata: {{a: b}}\n" for n in range(3000)
    )
    reader = manifests._Reader()
    reader.file("a.yaml", text)
    assert len(reader.manifests()) == 3000
