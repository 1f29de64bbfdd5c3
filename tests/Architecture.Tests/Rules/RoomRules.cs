using System.Text.RegularExpressions;

namespace MailPipeline.Architecture.Tests.Rules;

/// <summary>Which folders of a service may use which: in one direction, so that each can be read without those above it.</summary>
internal static class RoomRules
{
    private const string Queue = "services/Queue";

    /// <summary>The rooms of a service, and those that each of them may use.</summary>
    private static readonly Dictionary<(string Service, string Room), string[]> Uses = new()
    {
        [(Queue, "Reconciling")] = ["Routing", "Domains", "Reports"],
        [(Queue, "Routing")] = ["Domains"],
        [(Queue, "Domains")] = ["Reports"],
        [(Queue, "Reports")] = [],
    };

    /// <summary>A room uses the rooms below it and none above. What lies beside the rooms of a service may put all of them together.</summary>
    public static IEnumerable<string> Rooms_use_what_lies_below_them(Tree tree)
    {
        foreach (var file in tree.Sources("services"))
        {
            if (tree.ProjectOf(file.Path) is not { } project || file.Path[(project.Folder.Length + 1)..].Split('/') is not [var room, _, ..])
                continue;
            if (!Uses.TryGetValue((project.Folder, room), out var allowed))
                continue;
            var rooms = Uses.Keys.Where(key => key.Service == project.Folder).Select(key => key.Room);
            foreach (var other in rooms.Where(other => other != room && !allowed.Contains(other)))
            {
                if (Names(file.Text, $"MailPipeline.{project.Name}.{other}"))
                    yield return $"{file.Path}: {room} must not use {other}";
            }
        }
    }

    /// <summary>A room that nobody has said anything about could use all.</summary>
    public static IEnumerable<string> Every_room_of_Queue_is_in_the_list(Tree tree) =>
        from file in tree.Sources("services")
        where file.Path.StartsWith($"{Queue}/", StringComparison.Ordinal)
        let folders = file.Path[(Queue.Length + 1)..].Split('/')
        where folders.Length > 1 && !Uses.ContainsKey((Queue, folders[0]))
        select $"{file.Path}: nothing is said of what {folders[0]} may use";

    private static bool Names(string text, string name) => Regex.IsMatch(text, $@"(?<![\w.]){Regex.Escape(name)}\b");
}
