#!/bin/sh
echo "application ${APP_VERSION:-unknown} on $(. /etc/os-release; echo $PRETTY_NAME), as $(id -un): ready"
