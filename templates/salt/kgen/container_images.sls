{%- from 'kgen/map.jinja' import recipe with context %}
# From archives where the recipe's directory has them, else from the registry when `apply --pull` allows it.
container-images:
  cmd.run:
    - name: sh /run/kgen-bake/recipe/scripts/container-images load
    - unless: sh /run/kgen-bake/recipe/scripts/container-images check
    - require:
      - sls: kgen.containerd
