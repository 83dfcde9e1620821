/** Every start that fails ends with one line that says what to do, and a code of sysexits(3). */
import { createServer } from 'node:net';
import { configure, dropIn, failsWith, machine, PORT, property, step, write } from '../machine.ts';

/** Runs a task while somebody else has the port. */
async function besideSquatter(task: () => Promise<unknown>): Promise<void> {
  const squatter = createServer().listen(PORT, '127.0.0.1');
  try {
    await task();
  } finally {
    await new Promise(resolve => squatter.close(resolve));
  }
}

export async function mistakes(): Promise<void> {
  await step('no broker: 78, and which key is missing', () =>
    failsWith(
      78,
      /no broker is named: write upstream = amqp:\/\/HOST:5672 in \[main\] of \/etc\/amqproxy\.ini, or set AMQP_URL$/,
    ),
  );

  await step('a key that nobody knows: 78, with file, line and key', async () => {
    await configure('max_klients = 7');
    await failsWith(
      78,
      /\/etc\/amqproxy\.ini:4: unknown key max_klients in \[main\]: did you mean max_clients\?/,
    );
  });

  await step('a file that cannot be read: 78', async () => {
    await machine.do('chmod 000 /etc/amqproxy.ini');
    await failsWith(
      78,
      /\/etc\/amqproxy\.ini: cannot be read: permission denied to the user that runs amqproxy\. Make it readable/,
    );
    await machine.do('rm /etc/amqproxy.ini');
    await failsWith(78, /\/etc\/amqproxy\.ini: cannot be read: there is no such file/);
    await configure();
  });

  await step('a mistake in a file of /etc/amqproxy.d: 78, with its name', async () => {
    await write('/etc/amqproxy.d/10-limits.ini', ['[main]', 'max_klients = 7']);
    await failsWith(78, /\/etc\/amqproxy\.d\/10-limits\.ini:2: unknown key max_klients/);
    await machine.do('rm /etc/amqproxy.d/10-limits.ini');
  });

  await step('a bad flag in the unit: 64', async () => {
    await dropIn('ExecStart=', 'ExecStart=/usr/bin/amqproxy --prot 1');
    await failsWith(64, /unknown flag --prot: did you mean --port\?/);
    await dropIn('ExecStart=', 'ExecStart=/usr/bin/amqproxy -p abc amqp://127.0.0.1');
    await failsWith(64, /--port = "abc" is not a number/);
    await dropIn(null);
  });

  // what may pass by itself is tried again: Restart=no is for looking at the first failure
  await step('a port in use: 69, with the port', () =>
    besideSquatter(async () => {
      await dropIn('Restart=no');
      await failsWith(69, /cannot listen on 127\.0\.0\.1:5673: the port is in use\. Stop what listens there/);
      await dropIn(null);
    }),
  );

  await step('a port under 1024 without the socket unit: 77, and how to get it', async () => {
    await configure('[listen]', 'port = 567');
    await failsWith(
      77,
      /cannot listen on 127\.0\.0\.1:567: not permitted\. Ports under 1024 need the socket unit/,
    );
    await configure();
  });

  await step('a log that cannot be written: 74', async () => {
    await dropIn('Restart=no', 'StandardOutput=file:/dev/full', 'StandardError=journal');
    await failsWith(
      74,
      /cannot write the log to standard output \(ENOSPC\)\. Mend StandardOutput= in the unit/,
    );
    await dropIn(null);
  });

  const socket = async (...lines: string[]): Promise<void> => {
    await write('/etc/systemd/system/amqproxy.socket.d/test.conf', ['[Socket]', ...lines]);
    await machine.do('systemctl daemon-reload && systemctl start amqproxy.socket');
  };
  const noSocket = async (): Promise<void> => {
    await machine.do('systemctl stop amqproxy.socket && rm -r /etc/systemd/system/amqproxy.socket.d');
    await machine.do('systemctl daemon-reload && systemctl reset-failed');
  };

  await step('a socket name that nobody knows: 78, with the name', async () => {
    await socket('FileDescriptorName=nonsense');
    await failsWith(
      78,
      /a socket named "nonsense": known are amqp, amqps, http and admin, and sections \[listen NAME\] of the settings\. Mend FileDescriptorName=/,
    );
    await noSocket();
  });

  await step('a socket for TLS without a certificate: 78, and which keys to set', async () => {
    await socket('FileDescriptorName=amqps');
    await failsWith(78, /a socket named amqps: set tls_cert and tls_key in \[listen\]/);
    await noSocket();
  });

  await step('a socket that cannot be listened on: 78', async () => {
    await socket('ListenStream=', 'ListenDatagram=127.0.0.1:5673', 'NoDelay=no');
    await failsWith(
      78,
      /cannot listen on the sockets handed over for \[listen\]: .*Mend the socket unit: ListenStream= with Accept=no/,
    );
    await noSocket();
  });

  await step('a mistake is not tried again, something that may pass is', async () => {
    await configure('max_clients = many');
    await failsWith(78, /max_clients = "many" is not a/);
    if ((await property('NRestarts')) !== '0') throw new Error('it was restarted');
    await configure();
    await besideSquatter(() => machine.run('systemctl start amqproxy.service'));
    await machine.do('while ! systemctl is-active -q amqproxy; do sleep 0.1; done');
    await machine.do('systemctl stop amqproxy');
  });
}
