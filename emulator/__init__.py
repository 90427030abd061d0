"""The platform on loopback: IMS, Schema Registry, Catalog, Flow Service, Conversion."""
