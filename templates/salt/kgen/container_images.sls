{%- from 'kgen/map.jinja' import recipe with context %}
# Images come from the archives, or from the registry with `apply --pull`.
container-images:
  cmd.run:
    - name: sh /run/kgen-bake/recipe/scripts/container-images load
    - unless: sh /run/kgen-bake/recipe/scripts/container-images check
    - require:
      - sls: kgen.containerd
