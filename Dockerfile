FROM python:3.13-slim AS build
WORKDIR /package
COPY pyproject.toml README.md LICENSE alembic.ini ./
COPY linked_asset linked_asset
COPY migrations migrations
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.13-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels /wheels/linked_asset-*.whl && rm -r /wheels
USER 65534
ENTRYPOINT ["linked-asset"]
CMD ["upgrade"]
