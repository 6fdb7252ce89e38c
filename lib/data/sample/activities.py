"""What the people of the sample data set do: poses and words, as data (see people.py).

A pose is a mean of joint angles in degrees, for a right-handed person:

- body, spine: (forward, left[, twist to the left]); the pelvis, and the trunk upon it.
- head: (nod down, tilt left, turn left), upon the trunk.
- an arm or leg: (raise, plane, turn, bend). ``raise`` is away from hanging straight down, in the
  vertical plane ``plane``: 0 forward, 90 out to the limb's own side, negative across the body; a
  negative raise goes the other way, backwards. ``turn`` is the outward rotation about the upper
  arm or thigh, ``bend`` the flexion of elbow or knee. These are plane of elevation, elevation and
  axial rotation of the shoulder in the recommendation of the International Society of
  Biomechanics (Wu et al., J. Biomech. 38, 2005), used for the hip as well.

A motion is a sequence of poses from its beginning to its end; people are caught at any phase.
"""

from dataclasses import dataclass

# Standard deviation of each angle about the mean pose, degrees, in the order of a pose.
SPREAD = (3, 3, 5, 4, 6, 6, 5, 9) + 2 * (8, 8, 8, 8) + 2 * (5, 5, 5, 6)

HANGING = (8, 80, 0, 12)
STANDING = (5, 90, 5, 3)


def pose(
    body=(0, 0),
    spine=(3, 0, 0),
    head=(0, 0, 0),
    left_arm=HANGING,
    right_arm=HANGING,
    left_leg=STANDING,
    right_leg=STANDING,
) -> tuple[float, ...]:
    """The 24 angles of a pose; what is left out stands upright with hanging arms."""
    return (*body, *spine, *head, *left_arm, *right_arm, *left_leg, *right_leg)


@dataclass(frozen=True)
class Activity:
    """Poses, views and words of one activity.

    Attributes:
        motions: sequences of poses, all equally likely.
        views: where the person faces, degrees: 0 the camera, 90 the image's right, 180 away; each
            equally likely, give or take ``view_spread`` (a standard deviation).
        left_handed: share of people who do it mirrored.
        hides: "table" hides what is below the wrists, "mount" the leg on its far side.
        people, acts, places, extras: words. Every act mentions the activity.
        own_acts: further acts for each of the motions, where they have names of their own.
    """

    motions: tuple[tuple[tuple[float, ...], ...], ...]
    views: tuple[float, ...]
    people: tuple[str, ...]
    acts: tuple[str, ...]
    places: tuple[str, ...]
    extras: tuple[str, ...]
    own_acts: tuple[tuple[str, ...], ...] = ()
    view_spread: float = 18.0
    left_handed: float = 0.15
    hides: str = ""


TABLE = {
    "tennis": Activity(
        motions=(
            (  # forehand
                pose(
                    spine=(10, 0, -35), head=(0, 0, 35),
                    left_arm=(65, 20, 0, 30), right_arm=(70, 115, 20, 45),
                    left_leg=(22, 45, 5, 15), right_leg=(24, 90, 10, 25),
                ),
                pose(
                    spine=(12, 5, 5), head=(5, 0, 0),
                    left_arm=(45, 70, 10, 70), right_arm=(75, 60, 20, 20),
                    left_leg=(28, 40, 5, 25), right_leg=(20, 110, 10, 20),
                ),
                pose(
                    spine=(8, 5, 35), head=(0, 0, -25),
                    left_arm=(45, 90, 0, 80), right_arm=(100, -15, 20, 70),
                    left_leg=(22, 60, 5, 20), right_leg=(24, 120, 5, 25),
                ),
            ),
            (  # serve
                pose(
                    spine=(-12, 8, -25), head=(-25, 0, 15),
                    left_arm=(155, 30, 0, 10), right_arm=(85, 110, 70, 100),
                    left_leg=(12, 50, 0, 20), right_leg=(10, 110, 0, 30),
                ),
                pose(
                    spine=(-2, 14, 0), head=(-20, 0, 0),
                    left_arm=(60, 40, 0, 80), right_arm=(165, 70, 20, 15),
                    left_leg=(10, 70, 0, 5), right_leg=(16, 120, 0, 20),
                ),
            ),
        ),
        views=(-35, 0, 35, 75),
        people=("tennis player", "player", "athlete"),
        acts=(
            "playing tennis", "hitting a tennis ball", "holding a tennis racquet",
            "about to hit a tennis ball with a racket", "competing in a tennis match",
            "playing a game of tennis",
        ),
        own_acts=(
            ("swinging a tennis racket", "returning a tennis serve", "swinging at a tennis ball"),
            ("serving a tennis ball", "making a tennis serve", "about to serve in tennis"),
        ),
        places=(
            "on a tennis court", "on the court", "on a clay court", "on a green court",
            "in front of a crowd", "during a match", "at the baseline",
        ),
        extras=("spectators watch", "the ball flies toward the net", "leaning forward"),
    ),
    "batting": Activity(
        motions=(
            (
                pose(
                    spine=(22, 0, -30), head=(0, 0, 80),
                    left_arm=(74, -55, -10, 50), right_arm=(54, 40, 0, 112),
                    left_leg=(32, 60, 5, 35), right_leg=(32, 70, 5, 40),
                ),
                pose(
                    spine=(18, 0, 10), head=(10, 0, 45),
                    left_arm=(64, -12, -5, 25), right_arm=(63, -29, -5, 35),
                    left_leg=(34, 70, 15, 20), right_leg=(28, 75, -10, 45),
                ),
                pose(
                    spine=(5, 0, 50), head=(5, 0, 0),
                    left_arm=(72, 36, 0, 100), right_arm=(88, -65, 0, 58),
                    left_leg=(28, 75, 20, 8), right_leg=(22, 80, -20, 50),
                ),
            ),
        ),
        views=(-15, 20, 165),
        people=("baseball player", "batter", "player"),
        acts=(
            "swinging a baseball bat", "playing baseball with a bat", "holding a baseball bat",
            "up at bat in a baseball game", "getting ready to swing the bat",
            "batting at home plate", "waiting for the pitch with a bat",
            "hitting a baseball with a bat", "taking a swing with a bat",
            "standing at the plate with a bat",
        ),
        places=(
            "on a baseball field", "at home plate", "in a stadium", "during a game",
            "in front of the catcher", "on a ball field", "in the dirt",
        ),
        extras=("the catcher squats behind", "the umpire looks on", "fans watch"),
        left_handed=0.3,
    ),
    "pitching": Activity(
        motions=(
            (
                pose(
                    spine=(0, 0, -25), head=(5, 0, 35),
                    left_arm=(47, 1, -42, 99), right_arm=(46, 10, -38, 103),
                    left_leg=(85, 15, 0, 95), right_leg=(6, 90, 0, 8),
                ),
                pose(
                    spine=(5, 0, -35), head=(0, 0, 40),
                    left_arm=(85, 55, 0, 15), right_arm=(80, 120, 50, 60),
                    left_leg=(52, 45, 10, 30), right_leg=(30, 105, 10, 45),
                ),
                pose(
                    spine=(25, 10, 20), head=(-10, 0, -10),
                    left_arm=(40, 60, 0, 110), right_arm=(140, 60, 40, 45),
                    left_leg=(55, 15, 0, 50), right_leg=(-30, 0, 10, 30),
                ),
                pose(
                    body=(10, 0), spine=(45, 0, 40), head=(-30, 0, -20),
                    left_arm=(40, 120, 0, 60), right_arm=(70, -15, 0, 15),
                    left_leg=(60, 10, 0, 45), right_leg=(-38, 0, 10, 45),
                ),
            ),
        ),
        views=(-60, -25, 25),
        people=("pitcher", "baseball pitcher", "player"),
        acts=(
            "pitching a baseball", "throwing a pitch", "throwing a baseball",
            "winding up to pitch a ball", "about to pitch the ball",
            "delivering a fast pitch from the mound", "hurling a baseball",
            "in the middle of a pitch", "tossing a baseball to the batter",
            "pitching from the mound",
        ),
        places=(
            "on a baseball field", "on the mound", "on a pitchers mound", "in a stadium",
            "during a game", "on the diamond", "in an empty park",
        ),
        extras=("the crowd watches", "a batter waits", "wearing a glove"),
        left_handed=0.3,
    ),
    "frisbee": Activity(
        motions=(
            (  # a backhand throw
                pose(
                    spine=(15, 0, 40), head=(5, 0, -55),
                    left_arm=(30, 120, 0, 45), right_arm=(70, -30, -10, 75),
                    left_leg=(18, 90, 10, 20), right_leg=(35, 40, 5, 35),
                ),
                pose(
                    spine=(15, 0, -5), head=(0, 0, -35),
                    left_arm=(50, 110, 0, 30), right_arm=(80, 70, -10, 8),
                    left_leg=(24, 100, 10, 15), right_leg=(42, 50, 5, 45),
                ),
            ),
            (  # a leap for a catch
                pose(
                    spine=(-2, -5, 0), head=(-22, 0, -10),
                    left_arm=(75, 85, 10, 35), right_arm=(150, 50, 0, 15),
                    left_leg=(-12, 0, 5, 60), right_leg=(30, 20, 5, 70),
                ),
                pose(
                    spine=(5, -10, 0), head=(-15, 0, -15),
                    left_arm=(55, 100, 0, 45), right_arm=(125, 60, 0, 20),
                    left_leg=(-25, 0, 5, 45), right_leg=(40, 40, 5, 45),
                ),
            ),
        ),
        views=(-30, 0, 30),
        people=("player", "frisbee player", "teenager"),
        acts=(
            "playing frisbee", "with a frisbee in one hand", "in a frisbee game",
            "playing a game of ultimate frisbee", "having fun with a frisbee",
        ),
        own_acts=(
            ("throwing a frisbee", "tossing a frisbee", "about to throw a frisbee"),
            (
                "jumping to catch a frisbee", "leaping for a flying frisbee",
                "catching a frisbee out of the air",
            ),
        ),
        places=(
            "in a park", "in a grassy field", "on the grass", "on a lawn", "in the yard",
            "near some trees", "on a sunny day",
        ),
        extras=("a dog runs after it", "friends look on", "balancing on one leg"),
    ),
    "surfing": Activity(
        motions=(
            (
                pose(
                    body=(0, 0), spine=(42, 0, 10), head=(-25, 0, 45),
                    left_arm=(70, 50, 0, 25), right_arm=(75, 110, 0, 25),
                    left_leg=(62, 62, 0, 75), right_leg=(72, 52, 0, 95),
                ),
                pose(
                    body=(0, 10), spine=(28, 0, 20), head=(-15, 0, 40),
                    left_arm=(80, 75, 0, 15), right_arm=(95, 100, 10, 30),
                    left_leg=(42, 75, 0, 35), right_leg=(52, 60, 0, 70),
                ),
            ),
        ),
        views=(-25, 20, 160),
        people=("surfer", "surfer", "athlete"),
        acts=(
            "riding a wave on a surfboard", "surfing a wave", "surfing",
            "riding a wave on top of a surfboard", "balancing on a surf board",
            "on a surfboard riding a wave", "catching a wave with a surfboard",
            "standing on a surfboard", "surfing on a small wave", "riding the surf",
        ),
        places=(
            "in the ocean", "in the water", "at the beach", "in the sea", "near the shore",
            "on a cloudy day", "in blue water",
        ),
        extras=("the wave breaks behind", "water splashes", "crouching low"),
        left_handed=0.4,
    ),
    "skiing": Activity(
        motions=(
            (
                pose(
                    body=(5, -8), spine=(32, 4, 5), head=(-15, 0, 0),
                    left_arm=(45, 60, 0, 60), right_arm=(45, 60, 0, 60),
                    left_leg=(58, 8, 0, 78), right_leg=(46, 8, 0, 62),
                ),
                pose(
                    body=(5, 8), spine=(38, -4, -5), head=(-18, 0, 0),
                    left_arm=(40, 65, 0, 75), right_arm=(58, 50, 0, 50),
                    left_leg=(42, 8, 0, 56), right_leg=(58, 8, 0, 78),
                ),
            ),
        ),
        views=(-50, -20, 15, 50),
        people=("skier", "skier", "athlete"),
        acts=(
            "skiing down a hill", "skiing", "riding skis down a snowy slope",
            "on skis holding ski poles", "cross country skiing", "skiing through the snow",
            "racing downhill on skis", "going down a mountain on skis",
            "making a turn on skis", "gliding on skis with poles",
        ),
        places=(
            "in the snow", "on a snow covered slope", "on a mountain", "on a ski trail",
            "in the mountains", "at a ski resort", "on a bright winter day",
        ),
        extras=("snow falls", "leaning into the turn", "wearing goggles"),
        left_handed=0.5,
    ),
    "skateboarding": Activity(
        motions=(
            (  # a jump, from the rise to the top
                pose(
                    spine=(35, 0, 5), head=(10, 0, 25),
                    left_arm=(85, 80, 15, 40), right_arm=(80, 100, 15, 45),
                    left_leg=(85, 40, 0, 95), right_leg=(70, 50, 0, 105),
                ),
                pose(
                    spine=(22, 0, -5), head=(12, 0, 20),
                    left_arm=(110, 80, 20, 35), right_arm=(120, 95, 20, 35),
                    left_leg=(105, 40, 0, 110), right_leg=(92, 45, 0, 115),
                ),
            ),
        ),
        views=(-25, 0, 25),
        people=("skateboarder", "skater", "teenager"),
        acts=(
            "riding a skateboard", "doing a trick on a skateboard", "skateboarding",
            "jumping a skateboard in the air", "performing a skateboard trick",
            "flying through the air on a skateboard", "doing an ollie on a skateboard",
            "skateboarding up a ramp", "jumping off a ledge on a skate board",
            "practicing skateboard tricks",
        ),
        places=(
            "at a skate park", "in a parking lot", "on a ramp", "on the sidewalk",
            "down the street", "on a concrete ledge", "in the city",
        ),
        extras=("a friend takes a picture", "bending both knees", "others wait"),
        left_handed=0.5,
    ),
    "horse": Activity(
        motions=(
            (
                pose(
                    spine=(4, 0, 0), head=(4, 0, 0),
                    left_arm=(20, 25, -5, 70), right_arm=(20, 25, -5, 70),
                    left_leg=(58, 32, 0, 62), right_leg=(58, 32, 0, 62),
                ),
                pose(
                    spine=(16, 0, 0), head=(-5, 0, 0),
                    left_arm=(38, 20, -5, 60), right_arm=(38, 20, -5, 60),
                    left_leg=(50, 36, 0, 75), right_leg=(50, 36, 0, 75),
                ),
            ),
        ),
        views=(-75, 75, -40, 40),
        people=("rider", "horse rider", "jockey"),
        acts=(
            "riding a horse", "riding a big horse", "on horseback", "sitting on a horse",
            "riding on the back of a horse", "galloping on a horse", "horseback riding",
            "trotting along on a horse", "holding the reins of a horse while riding",
            "in the saddle of a horse",
        ),
        places=(
            "in a field", "on a dirt path", "along the beach", "through the woods",
            "at a rodeo", "in a corral", "next to a fence",
        ),
        extras=("the horse jumps a fence", "wearing a hat", "others watch from the fence"),
        hides="mount",
        left_handed=0.5,
    ),
    "bicycle": Activity(
        motions=(
            (
                pose(
                    body=(12, 0), spine=(38, 0, 0), head=(-35, 0, 0),
                    left_arm=(68, 12, 0, 18), right_arm=(68, 12, 0, 18),
                    left_leg=(100, 6, 0, 100), right_leg=(42, 6, 0, 35),
                ),
                pose(
                    body=(12, 0), spine=(38, 0, 0), head=(-35, 0, 0),
                    left_arm=(68, 12, 0, 18), right_arm=(68, 12, 0, 18),
                    left_leg=(85, 6, 0, 62), right_leg=(62, 6, 0, 82),
                ),
                pose(
                    body=(12, 0), spine=(32, 0, 0), head=(-30, 0, 0),
                    left_arm=(70, 12, 0, 20), right_arm=(70, 12, 0, 20),
                    left_leg=(42, 6, 0, 35), right_leg=(100, 6, 0, 100),
                ),
            ),
        ),
        views=(-80, 80, -50, 50),
        people=("cyclist", "bicyclist", "biker"),
        acts=(
            "riding a bicycle", "riding a bike", "pedaling a bicycle", "biking",
            "cycling on a road bike", "on a bicycle", "bicycling past parked cars",
            "racing a bicycle", "riding a mountain bike", "pedaling along on a bike",
        ),
        places=(
            "down the street", "on a city street", "on a bike path", "through a park",
            "next to a bus", "along a river", "on a country road",
        ),
        extras=("cars drive by", "wearing a helmet", "carrying a backpack"),
        hides="mount",
        left_handed=0.5,
    ),
    "motorcycle": Activity(
        motions=(
            (
                pose(
                    body=(-8, 0), spine=(14, 0, 0), head=(2, 0, 0),
                    left_arm=(52, 38, -5, 40), right_arm=(52, 38, -5, 40),
                    left_leg=(82, 28, 0, 72), right_leg=(82, 28, 0, 72),
                ),
                pose(
                    body=(-4, 8), spine=(24, 4, 0), head=(-8, 0, 0),
                    left_arm=(60, 36, -5, 45), right_arm=(60, 36, -5, 45),
                    left_leg=(88, 30, 0, 92), right_leg=(88, 24, 0, 92),
                ),
            ),
        ),
        views=(-70, 70, -30, 30),
        people=("motorcyclist", "rider", "biker"),
        acts=(
            "riding a motorcycle", "driving a motorcycle", "on a motorcycle",
            "sitting on a motorcycle", "riding a motorbike", "on a motor bike",
            "speeding along on a motorcycle", "riding a motor scooter",
            "steering a big motorcycle", "posing on the seat of a motorcycle",
        ),
        places=(
            "on the road", "down a highway", "in a parking lot", "on a race track",
            "around a corner", "in traffic", "in front of a building",
        ),
        extras=("wearing a helmet", "a truck follows", "leaning into the curve"),
        hides="mount",
        left_handed=0.5,
    ),
    "table": Activity(
        motions=(
            (
                pose(
                    spine=(12, 0, 0), head=(12, 0, 0),
                    left_arm=(32, 30, -25, 80), right_arm=(32, 30, -25, 80),
                    left_leg=(84, 10, 0, 82), right_leg=(84, 10, 0, 82),
                ),
                pose(
                    spine=(16, 0, 0), head=(12, 0, 0),
                    left_arm=(32, 30, -30, 80), right_arm=(48, 35, -25, 125),
                    left_leg=(84, 10, 0, 82), right_leg=(84, 10, 0, 82),
                ),
            ),
        ),
        views=(-40, 0, 40),
        people=("diner", "customer", "student"),
        acts=(
            "sitting at a table", "eating a meal at a table", "eating pizza at a table",
            "seated at a dinner table", "sitting down to eat", "having dinner at a table",
            "sitting at a table with a plate of food", "enjoying lunch at a wooden table",
            "sitting in front of a plate of food", "eating a slice of cake with a fork",
        ),
        places=(
            "in a restaurant", "in a kitchen", "at a cafe", "in a dining room",
            "with a glass of wine", "near a window", "at a party",
        ),
        extras=("a waiter brings food", "smiling for the camera", "drinking a glass of water"),
        hides="table",
    ),
    "phone": Activity(
        motions=(
            (
                pose(
                    spine=(2, 0, 0), head=(5, -6, 0),
                    left_arm=(8, 70, 0, 15), right_arm=(78, 28, -10, 145),
                ),
                pose(
                    spine=(2, 0, 0), head=(8, -8, 0),
                    left_arm=(14, 40, -40, 85), right_arm=(70, 40, 0, 145),
                    left_leg=(6, 90, 10, 4), right_leg=(10, 40, 10, 10),
                ),
            ),
        ),
        views=(-40, -10, 20, 55),
        people=("commuter", "pedestrian", "worker"),
        acts=(
            "talking on a cell phone", "talking on the phone", "standing with a cellphone",
            "holding a cell phone to one ear", "making a phone call",
            "having a conversation on a mobile phone", "using a cell phone",
            "speaking into a phone", "chatting on a smart phone", "listening to a cell phone",
        ),
        places=(
            "on the sidewalk", "in an office", "outside a building", "in a hallway",
            "on a street corner", "next to a wall", "at a train station",
        ),
        extras=("looking away", "people pass by", "holding a bag"),
        left_handed=0.35,
    ),
    "walking": Activity(
        motions=(
            (
                pose(
                    left_arm=(-22, 0, 0, 15), right_arm=(25, 0, 0, 30),
                    left_leg=(26, 0, 0, 6), right_leg=(-18, 0, 0, 14),
                ),
                pose(
                    left_arm=(4, 40, 0, 20), right_arm=(6, 40, 0, 22),
                    left_leg=(4, 0, 0, 8), right_leg=(20, 0, 0, 55),
                ),
                pose(
                    left_arm=(25, 0, 0, 30), right_arm=(-22, 0, 0, 15),
                    left_leg=(-18, 0, 0, 14), right_leg=(26, 0, 0, 6),
                ),
            ),
        ),
        views=(-80, 80, -35, 35, 180),
        people=("pedestrian", "tourist", "shopper"),
        acts=(
            "walking down the street", "walking", "walking across the road",
            "taking a walk", "walking with an umbrella", "strolling along",
            "walking down a path", "crossing the street on foot", "walking past a store",
            "out for a stroll",
        ),
        places=(
            "on the sidewalk", "in the rain", "in the city", "at a crosswalk",
            "near some shops", "on a busy street", "at an airport",
        ),
        extras=("pulling a suitcase", "cars wait", "carrying bags"),
        left_handed=0.5,
    ),
    "posing": Activity(
        motions=(
            (  # hands on the hips
                pose(
                    left_arm=(42, 110, -45, 92), right_arm=(42, 110, -45, 92),
                    left_leg=(9, 90, 10, 4), right_leg=(9, 90, 10, 4),
                ),
            ),
            (  # arms by the side
                pose(
                    head=(0, 3, 0), left_arm=(12, 85, 0, 12), right_arm=(12, 85, 0, 12),
                    left_leg=(7, 90, 10, 3), right_leg=(7, 90, 10, 5),
                ),
            ),
        ),
        views=(-12, 0, 12),
        people=("person", "model", "guest"),
        acts=(
            "posing for a picture", "standing and smiling", "posing for a photo",
            "posing for the camera", "standing and posing", "posing proudly in a uniform",
            "standing in a costume",
        ),
        own_acts=(
            ("posing with both hands on the hips", "standing with hands on hips"),
            ("standing around in a suit and tie", "standing up straight"),
        ),
        places=(
            "in a room", "in front of a house", "in front of a mirror", "in a living room",
            "beside a door", "in a garden", "against a brick wall",
        ),
        extras=("smiling", "looking at the camera", "wearing glasses"),
        left_handed=0.5,
    ),
    "soccer": Activity(
        motions=(
            (
                pose(
                    spine=(12, 0, -15), head=(15, 0, 10),
                    left_arm=(70, 75, 0, 25), right_arm=(40, 120, 0, 30),
                    left_leg=(18, 20, 0, 20), right_leg=(-38, -10, 5, 75),
                ),
                pose(
                    spine=(8, 0, 0), head=(20, 0, 0),
                    left_arm=(60, 80, 0, 25), right_arm=(45, 115, 0, 30),
                    left_leg=(6, 30, 0, 22), right_leg=(18, 10, 10, 45),
                ),
                pose(
                    body=(-8, 0), spine=(12, 0, 15), head=(15, 0, -5),
                    left_arm=(70, 55, 0, 30), right_arm=(55, 125, 0, 25),
                    left_leg=(2, 0, 0, 12), right_leg=(68, 5, 10, 12),
                ),
            ),
        ),
        views=(-60, -25, 25, 60),
        people=("soccer player", "player", "goalie"),
        acts=(
            "kicking a soccer ball", "playing soccer", "about to kick a ball",
            "kicking a ball", "chasing a soccer ball", "dribbling a soccer ball",
            "playing a game of soccer", "shooting a soccer ball at the goal",
            "running to kick the ball", "taking a free kick",
        ),
        places=(
            "on a soccer field", "on a green field", "in the grass", "at practice",
            "during a game", "in front of the goal", "on a muddy pitch",
        ),
        extras=("teammates run", "parents watch", "a defender comes near"),
    ),
    "kite": Activity(
        motions=(
            (
                pose(
                    body=(-5, 0), spine=(-6, 0, 0), head=(-24, 0, 0),
                    left_arm=(112, 30, 0, 45), right_arm=(122, 30, 0, 40),
                    left_leg=(12, 80, 5, 6), right_leg=(12, 90, 5, 6),
                ),
                pose(
                    body=(-8, 0), spine=(-6, 0, 0), head=(-24, 0, 0),
                    left_arm=(75, 20, 0, 75), right_arm=(148, 40, 0, 25),
                    left_leg=(20, 20, 5, 12), right_leg=(10, 110, 5, 6),
                ),
            ),
        ),
        views=(-45, 0, 45, 150),
        people=("child", "kite flyer", "parent"),
        acts=(
            "flying a kite", "flying a colorful kite", "holding the string of a kite",
            "launching a kite", "looking up at a kite", "pulling on the strings of a kite",
            "trying to get a kite into the air", "flying a big kite",
            "playing with a kite", "letting a kite go up",
        ),
        places=(
            "on the beach", "in a park", "in an open field", "under a blue sky",
            "on a windy day", "by the sea", "on a hill",
        ),
        extras=("the wind blows", "looking up at the sky", "clouds pass"),
        left_handed=0.5,
    ),
}  # fmt: skip

# Nouns by kind of person: singular, plural; an activity's own nouns come on top.
KINDS = (
    (("man", "man", "guy", "person", "male"), ("men", "guys", "people")),
    (("woman", "woman", "lady", "person", "female"), ("women", "ladies", "people")),
    (("boy", "boy", "young man", "kid", "child"), ("boys", "kids", "young men")),
    (("girl", "girl", "young woman", "kid", "child"), ("girls", "kids", "young women")),
)
COUNTS = {
    2: ("two", "a couple of", "a pair of", "two"),
    3: ("three", "a group of", "several", "some"),
    4: ("four", "a group of", "several", "a bunch of"),
    5: ("five", "a group of", "many", "a crowd of"),
}
ADJECTIVES = ("tall", "smiling", "slim", "casual", "focused", "happy", "busy")
COLOURS = ("red", "blue", "white", "black", "green", "yellow", "gray", "orange", "purple", "pink")
CLOTHES = ("shirt", "jacket", "hat", "t shirt", "sweater", "outfit", "top", "coat")

# {who} has its article or number; {s} is "is" or "are".
TEMPLATES = (
    "{who} {act} {place}",
    "{who} {s} {act} {place}",
    "{who} {act}",
    "{who} {clothes} {act}",
    "{who} {clothes} {s} {act} {place}",
    "there {s} {who} {act} {place}",
    "{place}, {who} {s} {act}",
    "{photo} of {who} {act}",
    "{photo} of {who} {act} {place}",
    "{who} {act} while {extra}",
    "{who} {s} {act} as others look on",
    "the {noun} {s} {act} {place}",
    "{who} seen {place} {act}",
)
PHOTOS = ("a photo", "a picture", "a black and white photo", "an image", "a close up", "a view")
