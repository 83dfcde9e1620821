<?php
// One pattern with PHP's amqp extension (librabbitmq): php-amqp.php PORT PATTERN QUEUE
[, $port, $pattern, $name] = $argv;

function open(string $password = 'guest'): AMQPConnection {
    global $port;
    $connection = new AMQPConnection([
        'host' => '127.0.0.1', 'port' => (int) $port, 'login' => 'guest', 'password' => $password, 'vhost' => '/',
        'read_timeout' => 10,
    ]);
    $connection->connect();
    return $connection;
}

function check(bool $holds, string $what): void {
    if (!$holds) {
        fwrite(STDERR, "not so: $what\n");
        exit(1);
    }
}

function refused(callable $act, string $words): void {
    try {
        $act();
    } catch (AMQPException $error) {
        check(str_contains($error->getMessage(), $words), "$words, but: {$error->getMessage()}");
        return;
    }
    check(false, "an error with $words");
}

function queue(AMQPChannel $channel): AMQPQueue {
    global $name;
    $queue = new AMQPQueue($channel);
    $queue->setName($name);
    $queue->declareQueue();
    return $queue;
}

function get(AMQPQueue $queue, int $flags = AMQP_NOPARAM): AMQPEnvelope {
    for ($tries = 0; $tries < 1000; $tries++) {
        $message = $queue->get($flags);
        if ($message) return $message;
        usleep(1000);
    }
    check(false, 'a message');
}

switch ($pattern) {
    case 'publish':
        for ($n = 0; $n < 50; $n++) {
            $connection = open();
            $channel = new AMQPChannel($connection);
            queue($channel);
            (new AMQPExchange($channel))->publish("$n", $name);
            $connection->disconnect();
        }
        $connection = open();
        $queue = queue(new AMQPChannel($connection));
        for ($n = 0; $n < 50; $n++) check(get($queue, AMQP_AUTOACK)->getBody() === "$n", "message $n");
        $queue->delete();
        break;
    case 'confirm':
        $connection = open();
        $channel = new AMQPChannel($connection);
        $queue = queue($channel);
        $channel->confirmSelect();
        $last = 0;
        $channel->setConfirmCallback(function ($tag) use (&$last) { $last = $tag; return $last < 100; }, fn () => false);
        $exchange = new AMQPExchange($channel);
        for ($n = 0; $n < 100; $n++) $exchange->publish("$n", $name);
        $channel->waitForConfirm(10);
        check($last === 100, "100 acks, but $last");
        $queue->delete();
        break;
    case 'consume':
        $connection = open();
        $channel = new AMQPChannel($connection);
        $queue = queue($channel);
        $exchange = new AMQPExchange($channel);
        for ($n = 0; $n < 20; $n++) $exchange->publish("$n", $name);
        $channel->setPrefetchCount(5);
        $seen = [];
        $queue->consume(function ($message, $queue) use (&$seen) {
            $seen[] = $message->getBody();
            $queue->ack($message->getDeliveryTag());
            return count($seen) < 20;
        });
        check($seen === array_map('strval', range(0, 19)), 'the messages in order');
        $queue->cancel();
        $queue->delete();
        break;
    case 'get':
        $connection = open();
        $channel = new AMQPChannel($connection);
        $queue = queue($channel);
        check($queue->get() === false || $queue->get() === null, 'an empty queue');
        (new AMQPExchange($channel))->publish('x', $name, AMQP_NOPARAM, ['message_id' => 'id']);
        $message = get($queue);
        check($message->getBody() === 'x' && $message->getMessageId() === 'id', 'the message');
        $queue->nack($message->getDeliveryTag(), AMQP_REQUEUE);
        $message = get($queue);
        check($message->isRedelivery(), 'redelivered');
        $queue->ack($message->getDeliveryTag());
        $queue->delete();
        break;
    case 'tx':
        $connection = open();
        $channel = new AMQPChannel($connection);
        $queue = queue($channel);
        $exchange = new AMQPExchange($channel);
        $channel->startTransaction();
        $exchange->publish('undone', $name);
        $channel->rollbackTransaction();
        $exchange->publish('done', $name);
        check($queue->declareQueue() === 0, 'nothing before the commit');
        $channel->commitTransaction();
        check(get($queue, AMQP_AUTOACK)->getBody() === 'done', 'what was committed');
        $queue->delete();
        $channel->commitTransaction();
        break;
    case 'large':
        $connection = open();
        $channel = new AMQPChannel($connection);
        $queue = queue($channel);
        $body = random_bytes(5_000_000);
        (new AMQPExchange($channel))->publish($body, $name);
        check(hash('sha256', get($queue, AMQP_AUTOACK)->getBody()) === hash('sha256', $body), 'the body intact');
        $queue->delete();
        break;
    case 'wrong-password':
        refused(fn () => open('wrong'), 'ACCESS_REFUSED');
        open()->disconnect();
        refused(fn () => open('wrong'), 'ACCESS_REFUSED');
        break;
    case 'channel-error':
        $connection = open();
        $channel = new AMQPChannel($connection);
        $queue = new AMQPQueue($channel);
        $queue->setName('no-such-queue');
        $queue->setFlags(AMQP_PASSIVE);
        refused(fn () => $queue->declareQueue(), '404');
        $queue = queue(new AMQPChannel($connection));
        $queue->delete();
        break;
    default:
        check(false, "a pattern $pattern");
}
echo "ok\n";
