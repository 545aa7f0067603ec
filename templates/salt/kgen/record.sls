{%- from 'kgen/map.jinja' import family, recipe with context %}
# The content of the image, for preflight and for people. It has no time, so that the same recipe gives the same file.
{%- set installed = {} %}
{%- for name, package in family.packages | dictsort %}
{%- do installed.update({name: salt['pkg.version'](package)}) %}
{%- endfor %}
{%- for program, source in recipe.programs | dictsort if 'package' in source %}
{%- do installed.update({program: salt['pkg.version'](program)}) %}
{%- endfor %}
{%- set digests = salt['cmd.run_stdout']('sh /run/kgen-bake/recipe/scripts/container-images digests', python_shell=False) | load_json %}
/etc/kgen/image.json:
  file.managed:
    - contents: |
        {{ dict(recipe.image, packages=installed, containerImages=digests) | json(sort_keys=True) }}
    - mode: '0644'
    - makedirs: True
