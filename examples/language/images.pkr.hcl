# Kiln's additions to HCL2 in one template: a chain of three builds, the last one a
# matrix, with a module. docs/language.md explains each.

variable "image" {
  type        = string
  default     = "kiln-test/busybox:1"
  description = "What the chain begins with; anything with a shell."
}

module "greeting" {
  source = "./modules/greeting"
  name   = "Kiln"
}

source "docker" "foundation" {
  image  = var.image
  pull   = false
  commit = true
}

source "docker" "base" {
  image  = artifact.foundation.foundation.id
  commit = true
}

source "docker" "app" {
  image  = artifact.base.base.id
  commit = true
}

build {
  name    = "foundation"
  sources = ["docker.foundation"]
  steps "module.greeting.say" {}
}

build {
  name    = "base"
  sources = ["docker.base"]
  provisioner "file" {
    source      = "${path.root}/motd"
    destination = "/motd"
  }
}

build {
  name    = "app"
  matrix  = { role = ["web", "db"], size = ["small", "large"] }
  sources = ["docker.app"]
  provisioner "shell" {
    inline = ["cat /greeting /motd", "echo ${matrix.role} ${matrix.size} >/role"]
  }
  post-processor "docker-tag" {
    repository = "kiln-language/${build.name}"
    tags       = ["latest"]
  }
}
