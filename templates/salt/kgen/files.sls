{%- from 'kgen/map.jinja' import recipe with context %}
# Files that are the same on every machine of this release: the first-boot programs, their units, settings.
{%- for path, file in recipe.files | dictsort %}

{{ path }}:
  file.managed:
    - source: salt://kgen/files{{ path }}
    - mode: {{ file.mode | json }}
    - user: root
    - group: root
    - makedirs: True
{%- endfor %}

# They start by themselves once a document has linked firstboot.py to the program of the machine's role.
{%- for unit in ['kgen-firstboot', 'kgen-later'] %}

{{ unit }}-enabled:
  cmd.run:
    - name: systemctl enable {{ unit }}
    - unless: systemctl is-enabled --quiet {{ unit }}
    - require:
      - file: /usr/lib/systemd/system/{{ unit }}.service
{%- endfor %}
{%- for unit in recipe.units %}

{{ unit }}-enabled:
  cmd.run:
    - name: systemctl enable {{ unit }}
    - unless: systemctl is-enabled --quiet {{ unit }}
    - require:
      - sls: kgen.packages
{%- if '/etc/systemd/system/' ~ unit in recipe.files %}
      - file: /etc/systemd/system/{{ unit }}
{%- endif %}
{%- endfor %}
