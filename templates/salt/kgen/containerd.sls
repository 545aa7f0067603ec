{%- from 'kgen/map.jinja' import family, recipe with context %}
# The format of the configuration depends on the installed version.
{%- for format, pattern in [(2, '^ v?1[.]'), (3, '^ v?[2-9][.]')] %}

containerd-config-{{ format }}:
  file.managed:
    - name: /etc/containerd/config.toml
    - source: salt://kgen/files/containerd-{{ format }}.toml
    - mode: '0644'
    - makedirs: True
    - onlyif: containerd --version | sed -E 's/^[^ ]+ [^ ]+//' | grep -Eq {{ pattern | json }}
    - require:
      - pkg: packages
{%- endfor %}

containerd-early:
  file.managed:
    - name: /etc/systemd/system/containerd.service
    - source: salt://kgen/files/containerd.service
    - template: jinja
    - mode: '0644'
    - require:
      - pkg: packages

# A DaemonSet installs network plug-ins into /opt/cni/bin, so containerd looks only there.
cni-plugins:
  cmd.run:
    - name: mkdir -p /opt/cni/bin && ln -sfn {{ family.cni_directory }}/* /opt/cni/bin/
    - unless: 'for each in {{ family.cni_directory }}/*; do test "$(readlink /opt/cni/bin/"${each##*/}")" = "$each" || exit 1; done'
    - require:
      - pkg: packages

containerd-enabled:
  cmd.run:
    - name: systemctl enable containerd
    - unless: systemctl is-enabled --quiet containerd
    - require:
      - pkg: packages

containerd-restarted:
  cmd.run:
    - name: systemctl restart containerd
    - onlyif: test -d /run/systemd/system
    - onchanges_any:
      - file: containerd-config-2
      - file: containerd-config-3
