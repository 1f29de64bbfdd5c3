using System.Globalization;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone;

/// <summary>
/// What the command line says: words (the command and its arguments), the folder, the port offset, and settings
/// (<c>--Section:Key=value</c> or <c>--Section:Key value</c>) that override files and environment.
/// </summary>
internal sealed record Arguments(IReadOnlyList<string> Words, string DataFolder, int PortOffset, IReadOnlyList<string> Settings)
{
    /// <summary>The largest default port is 11111; moved, it must still be one.</summary>
    public const int MaxPortOffset = 65535 - StandaloneSettings.SiloPort;

    /// <exception cref="CommandLineException">The line cannot be understood.</exception>
    public static Arguments Parse(IReadOnlyList<string> line)
    {
        List<string> words = [];
        List<string> settings = [];
        var data = ServiceDefaults.DataFolder.DefaultName;
        var offset = 0;
        for (var i = 0; i < line.Count; i++)
        {
            var (name, value) = Split(line[i]);
            if (name is null)
            {
                words.Add(line[i]);
                continue;
            }
            if (name is "--help" or "-h")
            {
                words.Insert(0, "help");
                continue;
            }
            if (name is "--version")
            {
                words.Insert(0, "version");
                continue;
            }
            if (value is null)
            {
                // What there is not needs no value either.
                if (name is not ("--data" or "--port-offset"))
                    CheckSetting(name);
                if (++i == line.Count)
                    throw new CommandLineException($"{name} needs a value");
                value = line[i];
            }
            switch (name)
            {
                case "--data":
                    data = value.Length > 0 ? value : throw new CommandLineException("--data needs the name of a folder");
                    break;
                case "--port-offset":
                    offset = ParseOffset(value);
                    break;
                default:
                    settings.Add(CheckSetting(name) + "=" + value);
                    break;
            }
        }
        return new Arguments(words, data, offset, settings);
    }

    private static (string? Name, string? Value) Split(string argument)
    {
        if (!argument.StartsWith('-') || argument.Length < 2)
            return (null, null);
        var equals = argument.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? (argument, null) : (argument[..equals], argument[(equals + 1)..]);
    }

    private static int ParseOffset(string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var offset) && offset <= MaxPortOffset
            ? offset
            : throw new CommandLineException($"--port-offset is '{value}'; it must be a number from 0 to {MaxPortOffset}");

    private static string CheckSetting(string name) =>
        ServiceArguments.FaultOf(name, StandaloneSettings.Sections) is { } fault ? throw new CommandLineException(fault) : name;
}

/// <summary>The command line makes no sense; the message says what would.</summary>
internal sealed class CommandLineException(string message) : Exception(message);
