variable "NODE_ENV" {
  type    = string
  default = "staging"
}

variable "SERVER_NAME" {
  type    = string
  default = "example.com"
}

variable "INSTANCE_USER" {
  type    = string
  default = "admin"
}

variable "NGINX_WORKERS" {
  type    = number
  default = 4
}

variable "SOURCE_ID" {
  type        = string
  description = "The image to build on: what primal made."
}

source "docker" "carnivore" {
  image   = var.SOURCE_ID
  pull    = false
  commit  = true
  changes = ["CMD [\"/srv/app/start\"]", "LABEL built=${timestamp()}"]
}

build {
  sources = ["source.docker.carnivore"]

  provisioner "file" {
    source      = "app"
    destination = "/tmp/appserver"
  }

  provisioner "shell" {
    env = {
      INSTANCE_USER = var.INSTANCE_USER
      NGINX_WORKERS = var.NGINX_WORKERS
      SERVER_NAME   = var.SERVER_NAME
      NODE_ENV      = var.NODE_ENV
      NAME          = "app-${var.NODE_ENV}"
    }
    script = "deploy/templates/carnivore"
  }

  post-processors {
    post-processor "docker-tag" {
      repository = "immutable/carnivore"
      tags       = [var.NODE_ENV]
    }
    post-processor "manifest" {}
  }
}
