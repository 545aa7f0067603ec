{%- from 'kgen/map.jinja' import recipe with context %}
# What is the same for every machine of this release: the first-boot programs and their texts, units, settings.
{%- for path, file in recipe.files | dictsort %}

{{ path }}:
  file.managed:
    - source: salt://kgen/files{{ path }}
    - mode: {{ file.mode | json }}
    - user: root
    - group: root
    - makedirs: True
{%- endfor %}

# They start by themselves once a document has said which role's program is this machine's.
{%- for unit in ['kgen-firstboot', 'kgen-head-start', 'kgen-later'] %}

{{ unit }}-enabled:
  cmd.run:
    - name: systemctl enable {{ unit }}
    - unless: systemctl is-enabled --quiet {{ unit }}
    - require:
      - file: /usr/lib/systemd/system/{{ unit }}.service
{%- endfor %}
