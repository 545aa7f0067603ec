ln -sf /usr/local/lib/kgen/firstboot.py /usr/local/sbin/kgen-firstboot
# kgen-firstboot runs at each boot until it is done, then kgen-later, which cleans cloud-init's copies.
systemctl enable kgen-firstboot kgen-later
systemctl start --no-block kgen-later
# If the program has failed, a person must act first. Report a failure with its code.
systemctl is-failed --quiet kgen-firstboot || systemctl start kgen-firstboot
test -e /var/lib/kgen/done || exec kgen-firstboot --status
