#!/bin/bash
# Runs in the guest: the kernel's initiator against PORTAL. Prints `step: NAME ok` for each step.
set -euo pipefail
cd /tmp
portal=$PORTAL:$PORT

ok() { echo "step: $1 ok"; }
wait_for() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "timed out: $*"; return 1; }
		sleep 0.2
	done
}
refused() { if "$@"; then return 1; fi; } # set -e does not see what ! turns round
node() { iscsiadm -m node -T "$IQN" -p "$portal" "$@"; }
update() { node -o update -n "$1" -v "$2"; }
secrets() { # PASSWORD
	update node.session.auth.authmethod CHAP
	update node.session.auth.username myusername
	update node.session.auth.password "$1"
	update node.session.auth.username_in mytgtusername
	update node.session.auth.password_in mytgtpassword
	update node.session.initial_login_retry_max 1
}
initiator_name() {
	echo "InitiatorName=$1" >/etc/iscsi/initiatorname.iscsi
	pkill iscsid || true
	wait_for 60 sh -c '! pgrep -x iscsid >/dev/null'
	iscsid
}
lun0=/dev/disk/by-path/ip-$portal-iscsi-$IQN-lun-0
verify() { # MORE ARGUMENTS...
	fio --name=verify --filename=/mnt/data --size=48M --rw=randwrite --bs=16k --ioengine=libaio --iodepth=8 --direct=1 \
		--verify=crc32c --do_verify=1 --output-format=terse --terse-version=3 "$@" >/tmp/fio.out
	[ "$(cut -d';' -f5 </tmp/fio.out)" = 0 ]
}

modprobe iscsi_tcp
mkdir -p /run/lock/iscsi
initiator_name "$CLIENT"
iscsiadm -m discovery -t sendtargets -p "$portal" | grep -F "$portal,1 $IQN"
ok discovery

secrets wrongpassword
refused node --login
ok wrong_secret_refused
secrets mypassword12
initiator_name iqn.1994-05.com.redhat:stranger
refused node --login
ok unknown_initiator_refused
initiator_name "$CLIENT"

node --login
wait_for 60 test -b "$lun0"
disk=$(readlink -f "$lun0")
ok login_with_mutual_chap
[ "$(cat "/sys/block/${disk##*/}/device/vendor")" = "LIO-ORG " ]
grep -q '^TCMU device' "/sys/block/${disk##*/}/device/model"
sg_inq "$disk" >/dev/null
sg_vpd -p di "$disk" | grep -qi 'naa.*6001405\|0x6001405'
ok identity
[ "$(lsblk -S -n -o VENDOR | grep -c LIO-ORG)" = 1 ]
ok unmapped_lun_not_seen

mkfs.ext4 -q "$disk"
mount "$disk" /mnt
ok mkfs_and_mount
verify
ok fio_verified
echo keep >/mnt/kept
sync

before=$(blockdev --getsize64 "$disk")
echo "step: grow-now"
grown() {
	echo 1 >"/sys/block/${disk##*/}/device/rescan"
	[ "$(blockdev --getsize64 "$disk")" = $((320 * 1024 * 1024)) ]
}
[ "$before" = $((256 * 1024 * 1024)) ]
wait_for 90 grown
resize2fs "$disk" 2>/dev/null
ok resize_seen

umount /mnt
node --logout
[ ! -e "$lun0" ] || wait_for 60 test ! -e "$lun0"
ok logout

update 'node.conn[0].iscsi.HeaderDigest' CRC32C
update 'node.conn[0].iscsi.DataDigest' CRC32C
node --login
wait_for 60 test -b "$lun0"
disk=$(readlink -f "$lun0")
[ "$(cat /sys/class/iscsi_connection/connection*/header_digest | tail -n 1)" = 1 ]
[ "$(cat /sys/class/iscsi_connection/connection*/data_digest | tail -n 1)" = 1 ]
ok login_with_digests
fsck.ext4 -fn "$disk" >/dev/null
mount "$disk" /mnt
[ "$(cat /mnt/kept)" = keep ]
verify --verify_only=0
ok fio_verified_with_digests
fio --name=verify --filename=/mnt/data --size=48M --rw=randread --bs=16k --ioengine=libaio --iodepth=8 --direct=1 \
	--output-format=terse --terse-version=3 | cut -d';' -f5 | grep -qx 0
ok data_still_there
umount /mnt
node --logout
ok logout_with_digests
