# rolehawk with all that streams; nothing of it runs as root.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY models models
COPY streams streams
RUN python -m venv /opt/rolehawk \
 && /opt/rolehawk/bin/pip install --no-cache-dir --constraint constraints.txt ".[stream,aws,maxmind,alert]"

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/rolehawk /opt/rolehawk
RUN useradd --system --uid 10001 --no-create-home rolehawk \
 && install --directory --owner rolehawk /var/lib/rolehawk /var/lib/rolehawk/worker /var/lib/rolehawk/alert \
    /var/lib/rolehawk/ingest
USER rolehawk
WORKDIR /etc/rolehawk
ENTRYPOINT ["/opt/rolehawk/bin/rolehawk"]
CMD ["--help"]
