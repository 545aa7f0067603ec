import pytest

from kgen.lab import consoles

FRAME = "kgen: preflight failed: no container runtime answers\r\nTo do: systemctl status containerd\r\n"


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("", "power on"),
        ("[    0.1] Linux version 7.2\r\n", "booting"),
        ("[   31.2] kgen-firstboot[612]: kgen: preflight 0.4 s\r\n", "preflight done"),
        ("kgen: preflight 0.4 s\nkgen: files 1.0 s\n", "files done"),
        ("kgen: files 1.0 s\nkgen: waiting for the API: refused; see the kubelet\n", "waiting for the API: refused"),
        ("kgen: waiting for the API: refused; see\nkgen: api 9.0 s\n", "api done"),
        ("kgen: api 9.0 s\nkgen: done 0.1 s\n", "first boot done"),
    ],
)
def test_stage_is_the_last_line_of_the_first_boot(tmp_path, text, stage):
    log = tmp_path / "console.log"
    consoles.mark_power_on(log)
    with log.open("a") as file:
        file.write(text)
    assert consoles.stage(log) == consoles.Stage(stage)


def test_failure_has_what_to_do(tmp_path):
    log = tmp_path / "console.log"
    log.write_text(f"kgen: files 1.0 s\n{FRAME}")
    assert consoles.stage(log) == consoles.Stage(
        "preflight failed: no container runtime answers", is_failed=True, hint="systemctl status containerd"
    )


def test_failure_is_over_when_a_later_run_goes_on(tmp_path):
    log = tmp_path / "console.log"
    log.write_text(f"{FRAME}kgen: preflight 0.4 s\n")
    assert not consoles.stage(log).is_failed


def test_panic_is_a_failure(tmp_path):
    log = tmp_path / "console.log"
    log.write_text("Kernel panic - not syncing: VFS\n")
    assert consoles.stage(log).is_failed


def test_what_was_before_the_last_power_on_does_not_count(tmp_path):
    log = tmp_path / "console.log"
    log.write_text(FRAME)
    consoles.mark_power_on(log)
    assert consoles.stage(log).text == "power on"


def test_no_log_is_no_error(tmp_path):
    assert consoles.stage(tmp_path / "console.log").text == "power on"


def test_readable_text_does_nothing_to_the_terminal():
    queries = "\x1bP+q6E616D65\x1b\\\x1b[18t\x1b[32766;32766H\x1b7\x1b[!p\x1b]3008;start=1;user=root\x1b\\"
    shown = f"{queries}[ 1.0] here\r\nthere\a"
    assert consoles.readable(shown) == "[ 1.0] here\nthere"
    assert consoles.readable("\x1b]0;title\x07kgen: files\ttab") == "kgen: files\ttab"
