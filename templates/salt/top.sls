base:
  '*':
    - kgen
