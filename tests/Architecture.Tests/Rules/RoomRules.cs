using System.Text.RegularExpressions;

namespace MailPipeline.Architecture.Tests.Rules;

/// <summary>Which folders of a project may use which: in one direction, so that each can be read without those above it.</summary>
internal static partial class RoomRules
{
    /// <summary>Their rooms are folders of one namespace, which everybody opens: a room uses another by naming a type of it.</summary>
    private static readonly string[] OneNamespace = ["shared/Mail", "shared/Administration", "shared/Smtp"];

    private const string Checks = "services/Ingress/Checks";
    private const string CheckTable = $"{Checks}/CheckTable.cs";

    /// <summary>Where messages of the bus arrive and leave: what they say is mapped there to words of the service's own.</summary>
    private static readonly string[] BusRooms =
        ["services/Ingress", "services/Ingress/NextHops", "services/Queue/Domains", "services/Queue/Routing", "services/Queue/Events", "services/Delivery/Intake", "services/Mailbox/Maildrops"];

    /// <summary>The rooms of each project that has some, and what each of them may use of the others.</summary>
    internal static readonly Dictionary<(string Project, string Room), string[]> Uses = new()
    {
        [("services/Ingress", "Checks")] = ["Headers", "NextHops", "Limits", "Filters"],
        [("services/Ingress", "Headers")] = [],
        [("services/Ingress", "NextHops")] = [],
        [("services/Ingress", "Limits")] = [],
        [("services/Ingress", "Filters")] = ["Headers"],
        [("services/Queue", "Reconciling")] = ["Routing", "Domains", "Reports", "Policies", "Events"],
        [("services/Queue", "Routing")] = ["Domains"],
        [("services/Queue", "Domains")] = ["Reports", "Sites", "Policies"],
        [("services/Queue", "Sites")] = ["Policies"],
        [("services/Queue", "Reports")] = ["Policies"],
        [("services/Queue", "Policies")] = [],
        [("services/Queue", "Events")] = [],
        [("services/Delivery", "Intake")] = ["Connections", "Smtp", "Sources", "Routing", "Tls", "Batches", "Claims"],
        [("services/Delivery", "Connections")] = ["Smtp", "Batches", "Claims"],
        [("services/Delivery", "Smtp")] = ["Sources", "Routing", "Tls", "Batches"],
        [("services/Delivery", "Sources")] = ["Routing"],
        [("services/Delivery", "Routing")] = ["Tls"],
        [("services/Delivery", "Tls")] = [],
        [("services/Delivery", "Batches")] = ["Sources", "Claims"],
        [("services/Delivery", "Claims")] = [],
        [("services/Console", "Api")] = ["Access"],
        [("services/Console", "Access")] = [],
        [("shared/Mail", "History")] = ["Queue", "Audit", "Search", "Events"],
        [("shared/Mail", "Maildrops")] = ["Queue", "Directory", "Content", "Audit", "Tokens", "Events"],
        [("shared/Mail", "Logins")] = ["Directory"],
        [("shared/Mail", "Operators")] = ["Queue", "Audit", "Search"],
        [("shared/Mail", "Reporting")] = ["Queue", "Content"],
        [("shared/Mail", "Tls")] = ["Audit"],
        [("shared/Mail", "Door")] = ["Audit"],
        [("shared/Mail", "Directory")] = ["Audit", "Forwarding", "Tokens"],
        [("shared/Mail", "Forwarding")] = [],
        [("shared/Mail", "Suppression")] = ["Audit"],
        [("shared/Mail", "Rules")] = ["Audit"],
        [("shared/Mail", "Policies")] = [],
        [("shared/Mail", "Queue")] = ["Content", "Search", "Suppression", "Events", "Rules"],
        [("shared/Mail", "Content")] = [],
        [("shared/Mail", "Tokens")] = ["Audit"],
        [("shared/Mail", "Audit")] = [],
        [("shared/Mail", "Search")] = [],
        [("shared/Mail", "Events")] = ["Search", "Suppression"],
        [("services/Mailbox", "Maildrops")] = [],
        [("services/Mailbox", "Pop3")] = [],
        [("services/Standalone", "Demo")] = [],
        [("shared/Administration", "Checks")] = [],
        [("shared/Authentication", "Dmarc")] = ["Arc", "Dkim", "Spf"],
        [("shared/Authentication", "Arc")] = ["Dkim"],
        [("shared/Authentication", "Dkim")] = [],
        [("shared/Authentication", "Spf")] = [],
        [("shared/Smtp", "Unicode")] = [],
        [("shared/Storage", "Postgres")] = [],
        [("shared/Storage", "Sqlite")] = [],
    };

    /// <summary>A room uses the rooms below it and none above. What lies beside the rooms of a project may put all of them together.</summary>
    public static IEnumerable<string> Rooms_use_what_lies_below_them(Tree tree)
    {
        var files = WalledFiles(tree).ToList();
        return
            from place in files
            where Uses.ContainsKey((place.Project.Folder, place.Room))
            from other in RoomsOf(place.Project)
            where other != place.Room && !Uses[(place.Project.Folder, place.Room)].Contains(other)
            where IsUsed(other, place, files)
            select $"{place.File.Path}: {place.Room} must not use {other}";
    }

    /// <summary>
    /// Each room can be read without those that use it: by what the code uses, whatever is allowed. The first of a circle by the alphabet is told, with the
    /// way back to it.
    /// </summary>
    public static IEnumerable<string> Rooms_form_no_circle(Tree tree)
    {
        var files = WalledFiles(tree).ToList();
        return
            from project in tree.Projects
            let rooms = RoomsOf(project).ToArray()
            let uses = rooms.ToDictionary(
                room => room,
                room => rooms.Where(other => other != room && files.Any(file => file.Project.Path == project.Path && file.Room == room && IsUsed(other, file, files))).ToArray())
            from circle in Circles(uses)
            select $"{project.Folder}: {circle}";
    }

    /// <summary>What may be used makes no circle either, so that none can come to be.</summary>
    internal static IEnumerable<string> CirclesAllowed() =>
        from project in Uses.Keys.Select(key => key.Project).Distinct()
        from circle in Circles(Uses.Where(pair => pair.Key.Project == project).ToDictionary(pair => pair.Key.Room, pair => pair.Value))
        select $"{project}: {circle}";

    private static IEnumerable<string> Circles(Dictionary<string, string[]> uses) =>
        from first in uses.Keys.Order(StringComparer.Ordinal)
        let way = WayBack(uses, first, first, [])
        where way is not null
        select string.Join(" uses ", way.Prepend(first));

    /// <summary>By rooms that come later in the alphabet alone, so that a circle is found once; null: there is no way.</summary>
    private static string[]? WayBack(Dictionary<string, string[]> uses, string first, string from, HashSet<string> seen)
    {
        foreach (var next in uses.GetValueOrDefault(from, []))
        {
            if (next == first)
                return [first];
            if (string.CompareOrdinal(next, first) > 0 && seen.Add(next) && WayBack(uses, first, next, seen) is { } way)
                return [next, .. way];
        }

        return null;
    }

    /// <summary>What puts rooms together lies above them. Settings and telemetry, which all of them need, know of none; settings are composed of theirs.</summary>
    public static IEnumerable<string> Rooms_do_not_use_what_puts_them_together(Tree tree)
    {
        var files = WalledFiles(tree).ToList();
        return
            from above in files
            where above.Room.Length == 0 && !above.File.FileName.EndsWith("Options.cs", StringComparison.Ordinal)
            where RoomsOf(above.Project).Any(room => IsUsed(room, above, files))
            from type in NameRules.TypesOf(above.File)
            from place in files
            where place.Room.Length > 0 && place.Project.Path == above.Project.Path && Mentions(place, type)
            select $"{place.File.Path}: {place.Room} must not use {type}, which uses rooms";
    }

    /// <summary>The rest of a service does not change with what services say to each other.</summary>
    public static IEnumerable<string> Contracts_are_mapped_where_the_bus_is(Tree tree) =>
        from place in WalledFiles(tree)
        where place.Project.Layer == "services" && !BusRooms.Contains($"{place.Project.Folder}/{place.Room}".TrimEnd('/'))
        where Regex.IsMatch(place.File.Text, @"\bMailPipeline\.Contracts\b|(?<![\w.])Contracts\.\w")
        select $"{place.File.Path} must not use contracts";

    /// <summary>A type of a room that lies in the namespace of the whole service could be used by every other room without its name.</summary>
    public static IEnumerable<string> Rooms_have_a_namespace_of_their_own(Tree tree) =>
        from place in WalledFiles(tree)
        where place.Room.Length > 0 && !OneNamespace.Contains(place.Project.Folder)
        let own = $"MailPipeline.{place.Project.Name}.{place.Room}"
        where !Regex.IsMatch(place.File.Text, $@"^namespace\s+{Regex.Escape(own)}\b", RegexOptions.Multiline)
        select $"{place.File.Path}: the namespace must be {own}";

    /// <summary>A namespace that is opened for all files of a project is used by all its rooms, and none of them names it.</summary>
    public static IEnumerable<string> No_room_is_open_to_a_whole_project(Tree tree) =>
        from project in tree.Projects
        from room in RoomsOf(project)
        from file in tree.Files
        where file.Key.StartsWith($"{project.Folder}/", StringComparison.Ordinal)
        where Regex.IsMatch(file.Value, $@"(?:\bglobal\s+using\s+(?:static\s+)?|<Using\s+Include="")MailPipeline\.{project.Name}\.{room}\b")
        select $"{file.Key} opens {room} to all of {project.Name}";

    /// <summary>A room that nobody has said anything about could use all.</summary>
    public static IEnumerable<string> Every_room_is_in_the_list(Tree tree) =>
        from place in PlacedFiles(tree)
        where place.Room.Length > 0 && !Uses.ContainsKey((place.Project.Folder, place.Room))
        select $"{place.File.Path}: nothing is said of what {place.Room} may use";

    /// <summary>What is asked at the door is found by its name, and nowhere else.</summary>
    public static IEnumerable<string> A_check_is_a_file_of_its_own(Tree tree) =>
        from file in tree.Sources("services", "shared")
        from Match check in Implementation().Matches(file.Text)
        let path = $"{Checks}/{check.Groups[1].Value}.cs"
        where file.Path != path
        select $"{file.Path}: the place of {check.Groups[1].Value} is {path}";

    /// <summary>A check that is in no row is never asked; one that no test names is looked for in vain by whoever changes it.</summary>
    public static IEnumerable<string> A_check_is_in_the_table_and_named_by_its_tests(Tree tree)
    {
        var table = tree.Files.GetValueOrDefault(CheckTable, "");
        var tests = tree.Sources("tests/Ingress.Tests").Where(file => file.FileName.EndsWith("Tests.cs", StringComparison.Ordinal) && file.FileName != "CheckTableTests.cs").ToList();
        foreach (var file in tree.Sources(Checks).Where(file => Implementation().IsMatch(file.Text)))
        {
            var check = file.FileName[..^".cs".Length];
            var name = Regex.Match(table, $@"\b{check} (\w+)").Groups[1].Value;
            if (!Regex.IsMatch(table, $@"new\(CheckStage\.\w+, .*[ (]{name}\),"))
                yield return $"{check} is in no row of {CheckTable}";
            if (!tests.Exists(test => test.FileName == $"{check}Tests.cs" || Regex.IsMatch(test.Text, $@"\b{check}\b")))
                yield return $"{check} is named by no tests in tests/Ingress.Tests";
        }
    }

    private static IEnumerable<string> RoomsOf(ProjectFile project) =>
        Uses.Keys.Where(key => key.Project == project.Folder).Select(key => key.Room);

    private static bool IsUsed(string room, WalledFile by, List<WalledFile> files) => !OneNamespace.Contains(by.Project.Folder)
        ? Names(by.File.Text, by.Project.Name, room)
        : files.Where(file => file.Project.Path == by.Project.Path && file.Room == room)
            .SelectMany(file => NameRules.TypesOf(file.File)).Any(type => Mentions(by, type));

    /// <summary>The files of projects that have walls, with the room that each lies in; empty beside the rooms.</summary>
    private static IEnumerable<WalledFile> WalledFiles(Tree tree) => PlacedFiles(tree).Where(place => RoomsOf(place.Project).Any());

    private static IEnumerable<WalledFile> PlacedFiles(Tree tree) =>
        from file in tree.Sources("services", "shared")
        let project = tree.ProjectOf(file.Path)
        where project is not null
        select new WalledFile(file, project, file.Path[(project.Folder.Length + 1)..].Split('/') is [var room, _, ..] ? room : "");

    /// <summary>In code: what a comment speaks of is not used, and neither is a type whose name a value of an enum has.</summary>
    private static bool Mentions(WalledFile place, string type) =>
        Regex.IsMatch(
            Regex.Replace(place.File.Text, @"//.*|^\s*\w+(?:\s*=\s*\w+)?,?\r?$", "", RegexOptions.Multiline),
            $@"(?<![\w.])(?:MailPipeline\.)?(?:{place.Project.Name}\.)?{type}\b");

    /// <summary>By its whole name, or by what is left of it inside of the project and inside of MailPipeline.</summary>
    private static bool Names(string text, string project, string room) =>
        Regex.IsMatch(text, $@"(?<![\w.])(?:MailPipeline\.{project}\.{room}\b|(?:{project}\.)?{room}\.\w)");

    // Group 1: its name.
    [GeneratedRegex(@"\b(?:class|struct|record)\s+(\w+)[^{;]*:[^{;]*\bICheck\b")]
    private static partial Regex Implementation();

    /// <param name="Room">Empty beside the rooms.</param>
    private sealed record WalledFile(SourceFile File, ProjectFile Project, string Room);
}
