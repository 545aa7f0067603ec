{%- from 'kgen/map.jinja' import family, recipe with context %}
# The kubelet refuses to start with swap on, so nothing may turn it on again.
no-swap-in-fstab:
  file.comment:
    - name: /etc/fstab
    - regex: '^[^#\s]\S*\s+\S+\s+swap\s'
    - onlyif: test -f /etc/fstab && grep -Eq '^[^#[:space:]][^[:space:]]*[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]]' /etc/fstab

{%- for unit in ['swap.target'] + family.masked %}

mask-{{ unit }}:
  file.symlink:
    - name: /etc/systemd/system/{{ unit }}
    - target: /dev/null
    - force: True
{%- endfor %}

swap-off:
  cmd.run:
    - name: swapoff --all
    - onlyif: test -d /run/systemd/system && test "$(wc -l < /proc/swaps)" -gt 1

# cloud-init sets the time servers of the cluster file. The image has none of its own.
{%- if family.ntp_service == 'chronyd' %}
no-default-time-servers:
  file.comment:
    - name: /etc/chrony.conf
    - regex: '^(pool|server)\s'
    - onlyif: grep -Eq '^(pool|server)[[:space:]]' /etc/chrony.conf
    - require:
      - pkg: packages
{%- else %}
no-default-time-servers:
  file.managed:
    - name: /etc/systemd/timesyncd.conf.d/kgen.conf
    - contents: "[Time]\nNTP=\nFallbackNTP="
    - mode: '0644'
    - makedirs: True
{%- endif %}

ntp-client:
  cmd.run:
    - name: systemctl enable {{ family.ntp_service }}
    - unless: systemctl is-enabled --quiet {{ family.ntp_service }}
    - require:
      - pkg: packages
