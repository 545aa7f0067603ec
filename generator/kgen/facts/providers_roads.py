"""The table of roads: how a machine's user-data gets to a provider, by the tool that starts the machine.

A road's text has words in capitals, which the reader replaces, and tokens between ``@``, which kgen replaces. A line
with the token of a value that the machine does not have is left out; so is a line with ``@unlisted@`` for a machine
that has an address.

A shell text must not start a machine without its user-data when the file cannot be read: it checks what ``base64``
returns before it makes a pipe, and that the file is there if the tool would take its name for the user-data. An HCL
text calls ``sensitive()``, so that a plan does not print the document, and ignores a change of it, for which most
providers replace the machine.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Form = Literal["gzip", "text", "seed"]
"""The file that the tool gets: the compressed document, its plain text, or the ISO image of a NoCloud seed."""
Syntax = Literal["shell", "hcl"]

_HCL_PARSER = "OpenTofu's parser; kgen's tests do not have the provider's schema"
_NO_TOOL = "no tool in kgen's tests"


@dataclass(frozen=True, slots=True)
class Road:
    """One way to a provider. ``field`` names what takes the user-data there, ``encoding`` who encodes it and how.

    ``checked_by`` is the tool that checks the text in kgen's tests. ``source`` is where field and encoding are from.
    """

    provider: str
    tool: str
    form: Form
    syntax: Syntax
    field: str
    encoding: str
    checked_by: str
    source: str
    text: str


ROADS: tuple[Road, ...] = (
    Road(
        "ec2",
        "aws",
        "gzip",
        "shell",
        "UserData of RunInstances",
        "the CLI encodes the bytes of the file in base64",
        "the AWS CLI, against a stand-in for AWS",
        "AWS CLI reference, ec2 run-instances; botocore/handlers.py, base64_encode_user_data",
        """\
aws ec2 run-instances \\
  --image-id AMI --instance-type INSTANCE_TYPE --subnet-id SUBNET \\
  --private-ip-address @address@ \\
  --iam-instance-profile Name=@profile@ \\
  --metadata-options HttpTokens=required,HttpPutResponseHopLimit=1 \\
  --tag-specifications @tags@ \\
  --user-data @fileb@
""",
    ),
    Road(
        "ec2",
        "terraform",
        "gzip",
        "hcl",
        "user_data_base64 of aws_instance",
        "filebase64() encodes the bytes of the file in base64",
        _HCL_PARSER,
        "Terraform AWS provider, aws_instance",
        """\
resource "aws_instance" @resource@ {
  ami              = "AMI"
  instance_type    = "INSTANCE_TYPE"
  subnet_id        = "SUBNET"
  private_ip       = @address@
  user_data_base64 = sensitive(filebase64(@path@))

  iam_instance_profile = @profile@
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tags = {
    Name = @name@
  }

  lifecycle {
    ignore_changes = [user_data_base64] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "azure",
        "terraform",
        "gzip",
        "hcl",
        "custom_data of azurerm_linux_virtual_machine",
        "filebase64() encodes the bytes of the file in base64",
        _HCL_PARSER,
        "Terraform azurerm provider, azurerm_linux_virtual_machine",
        """\
resource "azurerm_linux_virtual_machine" @resource@ {
  name                  = @name@
  resource_group_name   = "RESOURCE_GROUP"
  location              = "LOCATION"
  size                  = "SIZE"
  source_image_id       = "IMAGE"
  admin_username        = "ADMIN"
  network_interface_ids = ["NETWORK_INTERFACE"] # give it the address of the cluster file
  custom_data           = sensitive(filebase64(@path@))

  admin_ssh_key {
    username   = "ADMIN"
    public_key = file("PUBLIC_KEY_FILE")
  }

  os_disk {
    caching              = "ReadWrite"
    storage_account_type = "Premium_LRS"
  }

  lifecycle {
    ignore_changes = [custom_data] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "azure",
        "az",
        "text",
        "shell",
        "--custom-data of az vm create",
        "the CLI reads the file as text, so it gets the plain document, and encodes it in base64",
        _NO_TOOL,
        "azure-cli, command_modules/vm/_vm_utils.py, read_content_if_is_file",
        """\
ls @path@ && az vm create --resource-group RESOURCE_GROUP --name @name@ \\
  --image IMAGE --size SIZE --subnet SUBNET --admin-username ADMIN --ssh-key-values PUBLIC_KEY_FILE \\
  --private-ip-address @address@ \\
  --custom-data @path@
""",
    ),
    Road(
        "openstack",
        "openstack",
        "gzip",
        "shell",
        "--user-data of openstack server create",
        "the CLI encodes the bytes of the file in base64",
        _NO_TOOL,
        "python-openstackclient 10.5.0, compute/v2/server.py, which opens the file as bytes",
        """\
openstack server create --image IMAGE --flavor FLAVOR \\
  --nic net-id=NETWORK,v4-fixed-ip=@address@ \\
  --network NETWORK @unlisted@ \\
  --user-data @path@ \\
  @name@
""",
    ),
    Road(
        "openstack",
        "terraform",
        "gzip",
        "hcl",
        "user_data of openstack_compute_instance_v2",
        "filebase64() encodes the bytes of the file in base64; gophercloud leaves base64 as it is",
        _HCL_PARSER,
        "Terraform OpenStack provider; gophercloud compute/v2/servers, CreateOpts.UserData",
        """\
resource "openstack_compute_instance_v2" @resource@ {
  name        = @name@
  image_name  = "IMAGE"
  flavor_name = "FLAVOR"
  user_data   = sensitive(filebase64(@path@))

  network {
    name        = "NETWORK"
    fixed_ip_v4 = @address@
  }

  lifecycle {
    ignore_changes = [user_data] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "gce",
        "gcloud",
        "gzip",
        "shell",
        "the metadata keys user-data and user-data-encoding",
        "base64, which cloud-init undoes because user-data-encoding says so",
        _NO_TOOL,
        "gcloud reference, compute instances create; cloud-init's DataSourceGCE",
        """\
data=$(base64 -w0 @path@) && printf %s "$data" | gcloud compute instances create @label@ \\
  --zone=ZONE --machine-type=MACHINE_TYPE --image=IMAGE --subnet=SUBNET \\
  --private-network-ip=@address@ \\
  --metadata=user-data-encoding=base64 \\
  --metadata-from-file=user-data=/dev/stdin
""",
    ),
    Road(
        "gce",
        "terraform",
        "gzip",
        "hcl",
        "metadata of google_compute_instance",
        "filebase64() encodes the bytes of the file in base64; user-data-encoding tells cloud-init",
        _HCL_PARSER,
        "Terraform Google provider, google_compute_instance; cloud-init's DataSourceGCE",
        """\
resource "google_compute_instance" @resource@ {
  name         = @label@
  zone         = "ZONE"
  machine_type = "MACHINE_TYPE"

  boot_disk {
    initialize_params {
      image = "IMAGE"
    }
  }

  network_interface {
    subnetwork = "SUBNET"
    network_ip = @address@
  }

  metadata = {
    user-data          = sensitive(filebase64(@path@))
    user-data-encoding = "base64"
  }

  lifecycle {
    ignore_changes = [metadata] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "digitalocean",
        "doctl",
        "text",
        "shell",
        "--user-data-file of doctl compute droplet create",
        "plain text; only the payload inside is compressed",
        _NO_TOOL,
        "doctl reference, compute droplet create",
        """\
doctl compute droplet create @name@ --image IMAGE --size SIZE --region REGION --vpc-uuid VPC \\
  --user-data-file @path@
""",
    ),
    Road(
        "digitalocean",
        "terraform",
        "text",
        "hcl",
        "user_data of digitalocean_droplet",
        "plain text; only the payload inside is compressed",
        _HCL_PARSER,
        "Terraform DigitalOcean provider, digitalocean_droplet",
        """\
resource "digitalocean_droplet" @resource@ {
  name      = @name@
  image     = "IMAGE"
  size      = "SIZE"
  region    = "REGION"
  vpc_uuid  = "VPC"
  user_data = sensitive(file(@path@))

  lifecycle {
    ignore_changes = [user_data] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "hetzner",
        "hcloud",
        "gzip",
        "shell",
        "--user-data-from-file of hcloud server create",
        "base64, which cloud-init undoes since 20.3",
        "Debian's hcloud, against a stand-in for the API",
        "hcloud, internal/cmd/server/create.go: - is stdin; cloud-init's DataSourceHetzner",
        """\
data=$(base64 -w0 @path@) && printf %s "$data" | hcloud server create --name @name@ \\
  --type SERVER_TYPE --image IMAGE --location LOCATION \\
  @unlisted@ --network NETWORK \\
  --start-after-create=false --user-data-from-file - &&
hcloud server attach-to-network @name@ --network NETWORK --ip @address@ &&
hcloud server poweron @name@
""",
    ),
    Road(
        "hetzner",
        "terraform",
        "gzip",
        "hcl",
        "user_data of hcloud_server",
        "filebase64() encodes the bytes of the file in base64, which cloud-init undoes since 20.3",
        _HCL_PARSER,
        "Terraform Hetzner Cloud provider, hcloud_server; cloud-init's DataSourceHetzner",
        """\
resource "hcloud_server" @resource@ {
  name        = @name@
  image       = "IMAGE"
  server_type = "SERVER_TYPE"
  location    = "LOCATION"
  user_data   = sensitive(filebase64(@path@))

  network {
    network_id = "NETWORK"
    ip         = @address@
  }

  lifecycle {
    ignore_changes = [user_data] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "akamai",
        "terraform",
        "gzip",
        "hcl",
        "metadata.user_data of linode_instance",
        "filebase64() encodes the bytes of the file in base64; cloud-init takes gzip there since 24.4",
        _HCL_PARSER,
        "Terraform Linode provider, linode_instance; cloud-init pull request 5751",
        """\
resource "linode_instance" @resource@ {
  label  = @long_label@
  region = "REGION"
  type   = "TYPE"
  image  = "IMAGE"

  metadata {
    user_data = sensitive(filebase64(@path@))
  }

  lifecycle {
    ignore_changes = [metadata] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "cloudstack",
        "terraform",
        "gzip",
        "hcl",
        "user_data of cloudstack_instance",
        "filebase64() encodes the bytes of the file in base64",
        _HCL_PARSER,
        "Terraform CloudStack provider, cloudstack_instance",
        """\
resource "cloudstack_instance" @resource@ {
  name             = @label@
  service_offering = "SERVICE_OFFERING"
  network_id       = "NETWORK"
  ip_address       = @address@
  template         = "TEMPLATE"
  zone             = "ZONE"
  user_data        = sensitive(filebase64(@path@))

  lifecycle {
    ignore_changes = [user_data] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "oracle",
        "oci",
        "gzip",
        "shell",
        "--user-data-file of oci compute instance launch",
        "the CLI encodes the bytes of the file in base64",
        _NO_TOOL,
        "OCI CLI reference, compute instance launch",
        """\
oci compute instance launch --display-name @name@ --compartment-id COMPARTMENT \\
  --availability-domain AVAILABILITY_DOMAIN --shape SHAPE --image-id IMAGE --subnet-id SUBNET \\
  --private-ip @address@ \\
  --user-data-file @path@
""",
    ),
    Road(
        "oracle",
        "terraform",
        "gzip",
        "hcl",
        "metadata.user_data of oci_core_instance",
        "filebase64() encodes the bytes of the file in base64",
        _HCL_PARSER,
        "Terraform OCI provider, oci_core_instance",
        """\
resource "oci_core_instance" @resource@ {
  display_name        = @name@
  compartment_id      = "COMPARTMENT"
  availability_domain = "AVAILABILITY_DOMAIN"
  shape               = "SHAPE"

  source_details {
    source_type = "image"
    source_id   = "IMAGE"
  }

  create_vnic_details {
    subnet_id  = "SUBNET"
    private_ip = @address@
  }

  metadata = {
    user_data = sensitive(filebase64(@path@))
  }

  lifecycle {
    ignore_changes = [metadata] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "vsphere",
        "govc",
        "gzip",
        "shell",
        "guestinfo.userdata of the virtual machine",
        "base64 of the gzip, which guestinfo.userdata.encoding says",
        _NO_TOOL,
        "govc usage, vm.change; cloud-init documentation, VMware datasource",
        """\
data=$(base64 -w0 @path@) && printf %s "$data" | govc vm.change -vm @name@ \\
  -e guestinfo.userdata.encoding=gzip+base64 \\
  -f guestinfo.userdata=/dev/stdin
""",
    ),
    Road(
        "vsphere",
        "terraform",
        "gzip",
        "hcl",
        "extra_config of vsphere_virtual_machine",
        "filebase64() encodes the bytes of the file in base64; guestinfo.userdata.encoding tells cloud-init",
        _HCL_PARSER,
        "Terraform vSphere provider, vsphere_virtual_machine; cloud-init documentation, VMware datasource",
        """\
resource "vsphere_virtual_machine" @resource@ {
  name             = @name@
  resource_pool_id = "RESOURCE_POOL"
  datastore_id     = "DATASTORE"
  num_cpus         = 2
  memory           = 4096

  network_interface {
    network_id = "NETWORK"
  }

  disk {
    label = "disk0"
    size  = 20
  }

  clone {
    template_uuid = "TEMPLATE"
  }

  extra_config = {
    "guestinfo.userdata"          = sensitive(filebase64(@path@))
    "guestinfo.userdata.encoding" = "gzip+base64"
  }

  lifecycle {
    ignore_changes = [extra_config] # kgen apply changes running machines
  }
}
""",
    ),
    Road(
        "nocloud",
        "virt-install",
        "seed",
        "shell",
        "a disk with the label cidata, in a directory that libvirt's QEMU can enter",
        "the seed has the user-data as plain text",
        "virt-install --dry-run",
        "virt-install(1); cloud-init documentation, NoCloud datasource",
        """\
virt-install --name @name@ --memory 4096 --vcpus 2 --osinfo detect=on,require=off \\
  --import --disk DISK,bus=virtio --disk @disk@ \\
  --uuid @uuid@ \\
  --network network=default,model=virtio,mac=@mac@ \\
  --noautoconsole
""",
    ),
    Road(
        "nocloud",
        "terraform",
        "seed",
        "hcl",
        "source of libvirt_volume, a disk with the label cidata",
        "the seed has the user-data as plain text; the provider copies it to libvirt's storage pool",
        "OpenTofu with the schema of the provider 0.8.3",
        "Terraform provider dmacvicar/libvirt 0.8, libvirt_volume and libvirt_domain; examples/terraform-libvirt",
        """\
resource "libvirt_volume" "SEED" {
  name   = "SEED.iso"
  source = @path@
  format = "raw"
}

resource "libvirt_domain" @resource@ {
  name   = @name@
  memory = 4096
  vcpu   = 2

  disk {
    volume_id = "DISK"
  }

  disk {
    volume_id = libvirt_volume.SEED.id
  }

  network_interface {
    network_name = "default"
    mac          = @mac@
    addresses    = [@address@]
  }
}
""",
    ),
    Road(
        "nocloud",
        "qm",
        "seed",
        "shell",
        "a CD with the label cidata",
        "the seed has the user-data as plain text",
        _NO_TOOL,
        "Proxmox VE, qm(1); cloud-init documentation, NoCloud datasource",
        """\
scp @path@ root@PROXMOX_HOST:/var/lib/vz/template/iso/@cluster@-@name@.iso
ssh root@PROXMOX_HOST qm set VM_ID --scsi1 local:iso/@cluster@-@name@.iso,media=cdrom
""",
    ),
)
"""Every road; the first of a provider is its default."""

NOCLOUD = "nocloud"


def fill(road: Road, values: Mapping[str, str]) -> str:
    """Return the text of ``road`` with ``values`` in place of its tokens, quoted. A value may be empty."""
    quote = shlex.quote if road.syntax == "shell" else _hcl
    lines = []
    for line in road.text.splitlines():
        if "@unlisted@" in line:
            if values.get("address"):
                continue
            line = line.replace(" @unlisted@", "")
        if any(f"@{name}@" in line and not value for name, value in values.items()):
            continue
        for name, value in values.items():
            line = line.replace(f"@{name}@", quote(value))
        lines.append(line)
    return "\n".join(lines) + "\n"


def _hcl(text: str) -> str:
    """Return ``text`` as an HCL string (HCL native syntax, "Template Expressions": $${ and %%{ are literal)."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
