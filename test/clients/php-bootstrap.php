<?php
// What composer would have made: the suite's own library and tests, and phpseclib from Debian.
spl_autoload_register(function (string $class): void {
    foreach (['PhpAmqpLib\\Tests\\' => 'tests/', 'PhpAmqpLib\\' => 'PhpAmqpLib/'] as $prefix => $directory) {
        $file = $directory . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (str_starts_with($class, $prefix) && is_file($file)) {
            require $file;
            return;
        }
    }
});
require_once 'phpseclib/autoload.php';
error_reporting(E_ALL ^ E_USER_DEPRECATED ^ E_DEPRECATED);
require 'tests/config.php';
require 'tests/php_compat_71.php';
