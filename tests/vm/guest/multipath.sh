#!/bin/bash
# Runs in the guest: the kernel's initiator with multipath as Ceph's documentation sets it up, on two gateways that
# the host disturbs. Prints `step: NAME ok` for each step, `gap: FAULT SECONDS`, and `do: WHAT` for the host, which
# makes the file /share/done.N when it has done the Nth, with the owner's portal if that was asked for. Then one path
# without multipath.
set -euo pipefail
cd /tmp
disk=/dev/mapper/mpatha
asked=0

ok() { echo "step: $1 ok"; }
wait_for() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "timed out: $*"; return 1; }
		sleep 0.2
	done
}
none() { if "$@"; then return 1; fi; } # set -e does not see what ! turns round
host() { # WHAT...
	asked=$((asked + 1))
	echo "do: $*"
	wait_for 60 test -e "/share/done.$asked"
}
failed() {
	local code=$?
	[ $code != 0 ] || return 0
	multipath -ll
	multipathd show paths
	tail -n 15 multipathd.log
	path_errors >last
	tail -n 40 kernel.all
	cat fio.failed
	touch end end1
	multipathd disablequeueing maps # else the guest's last sync waits for ever
} 2>&1
trap failed EXIT

# ---- paths: the CPU is an emulated one, so as few programs as possible are started ----

block_of() { basename "$(readlink -f "/dev/disk/by-path/ip-$1-iscsi-$IQN-lun-0")"; } # PORTAL
names() { block1=$(block_of "$PORTAL1") block2=$(block_of "$PORTAL2"); }
states() { # into $states: of both paths, the worse priority first
	states=$(multipathd show paths raw format "%p %t %T" | sort | tr '\n' ,)
}
both_paths() {
	states
	[ "$states" = "10 active ready,50 active ready," ]
}
prefers() { # PORTAL: its path has the better priority, the other one the worse
	local found
	found=$(multipathd show paths raw format "%p %d" | sort | tr '\n' ,)
	[[ $found = "10 sd"?",50 $(block_of "$1")," ]]
}
written() { # BLOCK: sectors, into $written
	local fields
	read -ra fields <"/sys/block/$1/stat"
	written=${fields[6]}
}
io_runs_through() { # into $carrier: the portal that takes the writes now
	local before1 before2
	written "$block1" && before1=$written
	written "$block2" && before2=$written
	sleep 1
	written "$block1" && before1=$((written - before1))
	written "$block2" && before2=$((written - before2))
	carrier=$PORTAL1
	[ $before1 -gt $before2 ] || carrier=$PORTAL2
}

path_errors() { # since they were asked for last
	dmesg >kernel.log
	grep -c 'I/O error, dev sd' kernel.log || true
	dmesg --clear
	cat kernel.log >>kernel.all
}

# ---- load ----

verify_until() { # END: writes and verifies, again and again, until that file is there
	while [ ! -e "$1" ]; do
		fio --name=verify --filename=/mnt/data --size=8M --rw=randwrite --bs=16k --ioengine=libaio --iodepth=4 --direct=1 \
			--rate_iops=150 --verify=crc32c --do_verify=1 --verify_fatal=1 --randseed=$RANDOM --output-format=terse \
			--terse-version=3 >fio.out 2>&1 && [ "$(tail -n 1 fio.out | cut -d';' -f5)" = 0 ] || cat fio.out >>fio.failed
	done
}
load() { # END
	rm -f gap.*
	: >fio.failed
	python3 /share/beat.py /mnt/beat phase "$1" &
	beat=$!
	verify_until "$1" &
	verify=$!
}
load_ends() { # END
	touch "$1"
	wait $beat
	wait $verify
	[ ! -s fio.failed ]
}
counted() { # into $count
	read -r count <beats
}
above() { # N
	counted
	[ "$count" -gt "$1" ]
}
beats() { # SECONDS: a write that begins now ends
	counted
	wait_for "$1" above $((count + 2))
}

# FAULT DO UNDO [ERRORS]: what the host does, and takes back when I/O goes on; how many errors paths may show
through() {
	local name=$1 errors
	echo "$name" >phase
	io_runs_through
	echo "io: $name: through $carrier"
	host "$2"
	beats 100
	echo "after $name" >phase
	[ "$3" = - ] || host "$3"
	wait_for 100 both_paths
	beats 60
	errors=$(path_errors)
	echo "gap: $name $(<"gap.$name") s, errors of single paths: $errors"
	[ "$errors" -le "${4:-$errors}" ]
	ok "survives_$name"
}

# ---- with multipath ----

modprobe -a iscsi_tcp scsi_dh_alua dm-multipath dm-queue-length
echo "InitiatorName=$CLIENT" >/etc/iscsi/initiatorname.iscsi
mkdir -p /run/lock/iscsi
iscsid
cat >/etc/multipath.conf <<C
defaults {
	user_friendly_names yes
	find_multipaths no
	polling_interval 2
	max_polling_interval 4
}
devices {
        device {
                vendor                 "LIO-ORG"
                product                "TCMU device"
                hardware_handler       "1 alua"
                path_grouping_policy   "failover"
                path_selector          "queue-length 0"
                failback               60
                path_checker           tur
                prio                   alua
                prio_args              exclusive_pref_bit
                fast_io_fail_tmo       25
                no_path_retry          queue
        }
}
C
: >fio.failed
multipathd -d >multipathd.log 2>&1 &
multipathd=$!
iscsiadm -m discovery -t sendtargets -p "$PORTAL1"
iscsiadm -m node --login >/dev/null
wait_for 90 test -b $disk
wait_for 90 both_paths
names
[ "$(cat /sys/block/sd*/device/dh_state)" = $'alua\nalua' ]
multipath -ll
host owner
wait_for 60 prefers "$(<"/share/done.$asked")"
ok both_paths_with_the_right_priorities

mkfs.ext4 -q $disk
mount $disk /mnt
echo before >phase
load end
wait_for 60 test -e beats
through hand_over "move" - 0
wait_for 60 prefers "$(<"/share/done.$asked")"
through stop_and_start "stop-owner" "start" 0
through stop_of_the_owner_that_io_enters "stop-owner" "start" 0
through kill_of_the_owner "kill-owner" "start"
io_runs_through
through pulled_front "pull-front $carrier" "plug-front"
load_ends end
ok fio_verified
umount /mnt
fsck.ext4 -fn $disk >fsck.log 2>&1 || { cat fsck.log; false; }
ok file_system_clean
path_errors >last
bad='Buffer I/O error|EXT4-fs (error|warning)|JBD2.*rror|I/O error, dev dm|Remounting filesystem'
none grep -E "$bad" kernel.all
ok no_error_reached_the_file_system

# ---- without ----

multipath -f mpatha
multipathd shutdown >/dev/null || true
wait $multipathd || true
iscsiadm -m node --logout >/dev/null
iscsiadm -m node -p "$PORTAL1" --login >/dev/null
disk=/dev/disk/by-path/ip-$PORTAL1-iscsi-$IQN-lun-0
wait_for 60 test -b "$disk"
mount "$disk" /mnt
rm -f beats
echo before >phase
load end1
wait_for 60 test -e beats
echo restart_with_one_path >phase
host "kill $PORTAL1"
host "start"
beats 60
echo "gap: restart_with_one_path $(cat gap.restart_with_one_path)"
path_errors >last
none grep -E "$bad" kernel.all
ok one_path_goes_on_after_a_restart
echo stop_with_one_path >phase
host "stop $PORTAL1"
host "start"
beats 60
echo "gap: stop_with_one_path $(cat gap.stop_with_one_path)"
load_ends end1
umount /mnt
fsck.ext4 -fn "$disk" >fsck.log 2>&1 || { cat fsck.log; false; }
path_errors >last
none grep -E "$bad" kernel.all
ok one_path_goes_on_after_a_stop
iscsiadm -m node -p "$PORTAL1" --logout >/dev/null
