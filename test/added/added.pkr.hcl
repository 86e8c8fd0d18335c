variable "region" {
  type = string
}

data "weather" "here" {
  city = "Bern"
}

source "cloudbox" "web" {
  region       = var.region
  communicator = "wire"
}

build {
  sources = ["cloudbox.web"]

  provisioner "banner" {
    text = "The sky over ${data.weather.here.city} is ${data.weather.here.sky}."
  }
}
