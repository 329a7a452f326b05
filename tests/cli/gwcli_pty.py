"""Runs gwcli as a person does: on a terminal, one command after another."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time

PROMPT = re.compile(r'(?:^|\n)(/[^\n>]*)> $')
DEADLINE_S = 30


class Place:
    """A home folder and a settings file for gwcli, and the way to start it."""

    def __init__(self, program, port, **settings):
        self.program = program
        self.folder = tempfile.TemporaryDirectory(prefix='gwcli-')
        self.settings = os.path.join(self.folder.name, 'iscsi-gateway.cfg')
        self.write_settings(port, **settings)

    def write_settings(self, port, password='admin', name='ceph-gw-1'):
        with open(self.settings, 'w') as f:
            f.write('[config]\napi_port = %d\napi_secure = false\napi_password = %s\n'
                    'cluster_client_name = client.admin\n[rbdgate]\ngateway_name = %s\n' %
                    (port, password, name))

    def environment(self, **more):
        return dict(os.environ, HOME=self.folder.name, TERM='dumb', **more)

    def run(self, *words, stdin=None, options=()):
        """One command; returns (stdout, stderr, status)."""
        done = subprocess.run([self.program, '-c', self.settings, *options, *words],
                              input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=DEADLINE_S,
                              env=self.environment())
        return done.stdout, done.stderr, done.returncode


class Session:
    """gwcli on a terminal. The terminal is wide, so that echoes are not wrapped; trees are drawn
    132 wide whatever it is."""

    def __init__(self, place, colour=False, term='dumb'):
        environment = place.environment()
        environment['TERM'] = term
        if not colour:
            environment['NO_COLOR'] = '1'
        self.text = ''
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # its size is that of the terminal when it starts
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 1000, 0, 0))
            os.execve(place.program, [place.program, '-c', place.settings], environment)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        os.close(self.fd)
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def read_more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.fd], [], [], left)[0]:
            raise TimeoutError('gwcli said only: %r' % self.text)
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b''
        self.text += data.decode().replace('\r\n', '\n').replace('\r', '')
        return bool(data)

    def wait_for(self, done):
        """Reads until done(text); None if gwcli ended before."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            found = done(self.text)
            if found or self.status is not None:
                return found
            if not self.read_more(deadline):
                self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                return done(self.text)

    def wait_for_prompt(self):
        """Returns (what came before the prompt, the path in it)."""
        found = self.wait_for(PROMPT.search)
        if not found:
            text, self.text = self.text, ''
            return text, None
        before, self.text = self.text[:found.start(1)], ''
        return before, found.group(1)

    def send(self, keys, typing=True):
        """Types; what is typed before the line editor listens would be echoed twice."""
        deadline = time.monotonic() + DEADLINE_S
        while typing and termios.tcgetattr(self.fd)[3] & termios.ICANON:
            if time.monotonic() > deadline:
                raise TimeoutError('gwcli does not listen')
            time.sleep(0.001)
        os.write(self.fd, keys.encode())

    def command(self, line):
        """Types a line; returns (its output, the path in the next prompt or None)."""
        self.send(line + '\n')
        self.wait_for(lambda text: '\n' in text)
        self.text = self.text.split('\n', 1)[1]

        def question_or_prompt(text):
            return PROMPT.search(text) or re.search(r'\[y/N\] $', text)
        found = self.wait_for(question_or_prompt)
        if found and found.group(0).startswith('[y'):
            self.text = ''
            self.send('y\n', typing=False)
            self.wait_for(lambda text: '\n' in text)
            self.text = self.text.split('\n', 1)[1]
        return self.wait_for_prompt()
