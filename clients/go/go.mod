module bitting.dev/go

go 1.19
