variable "INSTANCE_USER" {
  type    = string
  default = "admin"
}

variable "APP_VERSION" {
  type    = string
  default = "0.10"
}

variable "SOURCE_IMAGE" {
  type    = string
  default = "kiln/foundation:latest"
}

source "docker" "primal" {
  image  = var.SOURCE_IMAGE
  pull   = false
  commit = true
}

build {
  sources = ["source.docker.primal"]

  provisioner "file" {
    source      = "deploy/mailtube"
    destination = "/tmp/mailtube"
  }

  provisioner "shell" {
    environment_vars = [
      "INSTANCE_USER=${var.INSTANCE_USER}",
      "APP_VERSION=${var.APP_VERSION}",
    ]
    script = "deploy/templates/primal"
  }

  post-processors {
    post-processor "docker-tag" {
      repository = "immutable/primal"
      tags       = ["latest"]
    }
    post-processor "manifest" {}
  }
}
