# Remove what an image must not contain of the machine it was made on. Only for trees and with --image.

# Stop what would write again before the machine is off: the journal, and what systemd saves when it powers off.
writes-nothing-more:
  cmd.run:
    - name: |
        journalctl --relinquish-var
        for unit in systemd-update-utmp systemd-random-seed; do ! systemctl is-active --quiet $unit || systemctl stop $unit; done
    - onlyif: test -d /run/systemd/system && systemctl is-active --quiet systemd-random-seed

machine-id:
  file.managed:
    - name: /etc/machine-id
    - contents: ''
    - mode: '0444'

{%- for path in ['/var/lib/dbus/machine-id', '/var/lib/systemd/random-seed', '/var/lib/systemd/credential.secret',
                 '/root/.bash_history', '/root/.ssh', '/root/.cache', '/etc/hostname.bak'] %}

{{ path }}:
  file.absent: []
{%- endfor %}

# Each find prints what it would remove. No output means that nothing has changed.
{%- for name, where, what in [
  ('ssh-host-keys', '/etc/ssh', '-name "ssh_host_*"'),
  ('logs', '/var/log', '-type f -size +0'),
  ('journals', '/var/log/journal', '-mindepth 1'),
  ('cloud-init', '/var/lib/cloud', '-mindepth 1 -not -path "/var/lib/cloud/scripts*" -not -path "/var/lib/cloud/seed*"'),
  ('dhcp-leases', '/var/lib/dhcp /var/lib/NetworkManager /var/lib/systemd/network /run/systemd/netif/leases', '-type f -name "*lease*"'),
  ('package-archives', '/var/cache/apt/archives /var/cache/dnf /var/lib/apt/lists', '-type f -not -name lock'),
  ('temporary-files', '/tmp /var/tmp', '-mindepth 1'),
  ('users-histories', '/home', '-name ".*_history"'),
  ('users-ssh-keys', '/home', '-path "/home/*/.ssh*"'),
  ('network-of-this-machine', '/etc/netplan /etc/systemd/network /etc/network/interfaces.d /etc/NetworkManager/system-connections',
   '-name "*cloud-init*"'),
  ('files-of-a-cluster', '/etc/kgen /etc/systemd/system /etc/cni/net.d /usr/local/lib/kgen',
   '"(" -path "/etc/kgen/*" -not -name image.json -o -name "kgen-proxy.conf" -o -name "kgen-routes.*" '
   ~ '-o -name "kgen-labels.*" -o -name "kgen-metadata-fence.*" -o -name "kgen-hostname.conf" -o -name "10-kgen-*" -o -name firstboot.py ")"'),
] %}

{{ name }}:
  cmd.run:
    - name: find {{ where }} {{ what }} -delete 2>/dev/null; true
    - onlyif: find {{ where }} {{ what }} 2>/dev/null | grep -q .
{%- endfor %}

# systemd rebuilds the linker's cache, users and journal catalogues if /usr is newer than this file. The packages have
# already built them, so the first boot need not.
up-to-date:
  cmd.run:
    - name: /usr/lib/systemd/systemd-update-done
    - onlyif: test -x /usr/lib/systemd/systemd-update-done
    - unless: test -e /etc/.updated -a -e /var/.updated && ! test /usr -nt /etc/.updated
