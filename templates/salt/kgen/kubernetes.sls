{%- from 'kgen/map.jinja' import recipe with context %}
# A program from a file or a URL is only installed if its checksum is that of the recipe.
{%- for program, source in recipe.programs | dictsort if 'package' not in source %}

{{ program }}:
  file.managed:
    - name: /usr/bin/{{ program }}
    - source: {{ (source.url if 'url' in source else '/run/kgen-bake/files/' ~ source.file) | json }}
    - skip_verify: True
    - check_cmd: sh /run/kgen-bake/recipe/scripts/checksum {{ source.sha256 }}
    - mode: '0755'
    - user: root
    - group: root
{%- endfor %}

# The first-boot program enables it once its last file is in place.
kubelet-is-off:
  cmd.run:
    - name: systemctl disable kubelet
    - onlyif: systemctl is-enabled --quiet kubelet

static-pods:
  file.directory:
    - name: /etc/kubernetes/manifests
    - mode: '0755'
    - makedirs: True
