# One application, on the base.
variable "version" {
  type    = string
  default = "1.0.0"
}

source "docker" "application" {
  image  = "kiln/base:latest"
  pull   = false
  commit = true
  changes = [
    "USER app",
    "ENV APP_VERSION=${var.version}",
    "CMD [\"/srv/app/serve.sh\"]",
  ]
}

build {
  name    = "application"
  sources = ["docker.application"]

  provisioner "file" {
    source      = "app"
    destination = "/srv/app"
  }

  provisioner "shell" {
    inline = ["chown -R app: /srv/app", "su app -c '/srv/app/serve.sh' | grep -q 'ready'"]
  }

  post-processors {
    post-processor "docker-tag" {
      repository = "kiln/application"
      tags       = ["latest", var.version]
    }
    post-processor "manifest" {
      output = "out/manifest.json"
    }
  }
}
