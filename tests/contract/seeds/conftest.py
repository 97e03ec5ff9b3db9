"""The stages of the five surfaces."""

from tests.contract.aluma.conftest import aluma as aluma
from tests.contract.aluma.conftest import connect as connect
from tests.contract.aluma.conftest import project_id as project_id
from tests.contract.human_lambdas.conftest import joe as joe
from tests.contract.innodata.conftest import ana as ana
from tests.contract.innodata.conftest import ben as ben
from tests.contract.send_ai.conftest import desk as desk
