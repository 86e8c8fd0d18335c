# What every image of the house shares.
source "docker" "base" {
  image  = "kiln/foundation:latest"
  pull   = false
  commit = true
}

build {
  name    = "base"
  sources = ["docker.base"]

  provisioner "shell" {
    env = { DEBIAN_FRONTEND = "noninteractive" }
    inline = [
      "apt-get update -qq",
      "apt-get install -y -qq --no-install-recommends ca-certificates >/dev/null",
      "rm -rf /var/lib/apt/lists/*",
    ]
  }

  provisioner "shell" {
    inline = [
      "useradd --system --create-home app",
      "ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime",
    ]
  }

  post-processors {
    post-processor "docker-tag" {
      repository = "kiln/base"
      tags       = ["latest"]
    }
    post-processor "manifest" {
      output = "out/manifest.json"
    }
  }
}
