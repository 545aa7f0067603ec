{%- from 'kgen/map.jinja' import family, recipe with context %}
{%- if not family.packages %}
this-distribution-is-not-known:
  test.fail_without_changes:
    - name: {{ ('kgen has no package names for the family ' ~ grains['os_family'] ~ ': add them to kgen/map.jinja') | json }}
    - failhard: True
{%- endif %}

packages:
  pkg.installed:
    - install_recommends: False
    - pkgs:
{%- for name, package in family.packages | dictsort %}
      - {{ ({package: recipe.packages[name]} if name in recipe.packages else package) | json }}
{%- endfor %}
{%- for program, source in recipe.programs | dictsort if 'package' in source %}
      - {{ {program: source.package} | json }}
{%- endfor %}

{%- for package in recipe.extraPackages %}
      - {{ package | json }}
{%- endfor %}

{%- for name in recipe.packages %}

hold-{{ name }}:
  pkg.held:
    - name: {{ family.packages[name] | json }}
    - require:
      - pkg: packages
{%- endfor %}
{%- for program, source in recipe.programs | dictsort if 'package' in source %}

hold-{{ program }}:
  pkg.held:
    - name: {{ program | json }}
    - require:
      - pkg: packages
{%- endfor %}
