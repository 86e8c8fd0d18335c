# A bare Debian, made from nothing but its packages.
variable "suite" {
  type    = string
  default = "bookworm"
}

source "null" "debian" {
  communicator = "none"
}

build {
  name    = "foundation"
  sources = ["null.debian"]

  provisioner "shell-local" {
    inline = [
      "mkdir -p out",
      "[ -e out/${var.suite}.tar ] || mmdebstrap --quiet --variant=minbase ${var.suite} out/${var.suite}.tar",
    ]
  }

  post-processors {
    post-processor "artifice" {
      files = ["out/${var.suite}.tar"]
    }
    post-processor "docker-import" {
      repository          = "kiln/foundation"
      tag                 = "latest"
      changes             = ["CMD [\"/bin/sh\"]"]
      keep_input_artifact = true
    }
  }
}
