# One image for masters and nodes of one Kubernetes release. Secrets and names of clusters come with user-data only.
include:
  - kgen.packages
  - kgen.system
  - kgen.containerd
  - kgen.kubernetes
  - kgen.files
  - kgen.container_images
