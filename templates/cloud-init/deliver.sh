# Until this machine is done, every boot delivers again: a power cut may have taken files.
if [ ! -e /var/lib/kgen/done ]; then
  for module in set_hostname users_groups write_files ntp runcmd scripts_user; do
    rm -f /var/lib/cloud/instance/sem/config_$module
  done
  lost=
  # cloud-init fails on an empty file of its network, and writes these files only for a new machine.
  for file in \
    /etc/netplan/50-cloud-init.yaml \
    /etc/network/interfaces.d/50-cloud-init \
    /etc/systemd/network/10-cloud-init-*.network \
    /etc/NetworkManager/system-connections/cloud-init-*.nmconnection \
    /var/lib/cloud/instance/network-config.json
  do
    if [ -f "$file" ] && [ ! -s "$file" ]; then
      rm "$file"
      lost=yes
    fi
  done
  if [ "$lost" ]; then
    rm -f /var/lib/cloud/data/instance-id
    cloud-init init
  fi
  sync
fi
