"""/projects: uploaded, listed, taken away."""

from tests.contract.aluma.desk import PDF, create, message_in
from tests.contract.world import Client

YAML = {"Content-Type": "application/yaml"}
SOURCE = "name: a\nfields: [{name: b, labels: [B]}]\n"


async def test_a_project_is_uploaded_shown_listed_and_taken_away(aluma: Client):
    answer = await aluma.post("/projects", content=SOURCE, headers=YAML)
    assert answer.status_code == 201
    project = answer.json()
    assert project == {"id": project["id"], "name": "a"}
    titled = (
        await aluma.post(
            "/projects", content=SOURCE.replace("name: a", "name: t\ntitle: T T"), headers=YAML
        )
    ).json()
    assert titled["name"] == "T T"
    assert (await aluma.get("/projects")).json() == {"projects": [project, titled]}
    assert (await aluma.get(f"/projects/{project['id']}")).json() == project
    task_id = await create(aluma, project["id"])
    gone = await aluma.delete(f"/projects/{project['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    message_in(await aluma.get(f"/projects/{project['id']}"), 404)
    message_in(await aluma.delete(f"/projects/{project['id']}"), 404)
    refused = await aluma.post(f"/tasks?project_id={project['id']}", content=PDF)
    message_in(refused, 404)
    assert (await aluma.get(f"/tasks/{task_id}")).json()["project_name"] == "a"


async def test_the_same_name_again_is_a_new_version_of_the_same_project(aluma: Client):
    first = await aluma.post("/projects", content=SOURCE, headers=YAML)
    second = await aluma.post("/projects", content=f"{SOURCE}title: New\n", headers=YAML)
    assert second.json() == {"id": first.json()["id"], "name": "New"}


async def test_a_file_that_is_wrong_is_refused_with_line_and_key(aluma: Client):
    source = "name: a\nfields:\n  - {name: b, labels: [B]}\n  - {name: c, type: colour}\n"
    message = message_in(await aluma.post("/projects", content=source, headers=YAML), 400)
    assert "line 4" in message
    assert "type" in message
    for broken in (b"name: [", b"\xff", b""):
        message_in(await aluma.post("/projects", content=broken, headers=YAML), 400)
    message_in(await aluma.post("/projects", json={"name": "a"}), 400)
