using MailPipeline.Authentication.Dkim;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Extensions.Configuration;

namespace MailPipeline.Commands;

/// <summary>
/// The settings of a command: those that say where the store is and how it is used, and whom DNS is asked by. As for a server, later ones override earlier
/// ones: the folder's database, appsettings.json in the working directory, the environment, the command line. Other sections are
/// the servers' business, who check them at their start.
/// </summary>
internal static class CommandSettings
{
    private static readonly string[] s_sections =
        [
            StorageOptions.SectionName, MailStoreOptions.SectionName, LoginOptions.SectionName, "ConnectionStrings", DnsOptions.Section, DkimOptions.Section,
            SenderRewritingOptions.Section,
        ];

    /// <summary>Takes settings (<c>--Section:Key=value</c>, <c>--Section:Key value</c>) out of the command line.</summary>
    /// <exception cref="UsageException">One is of no section that commands read, or has no value.</exception>
    public static (IReadOnlyList<string> Words, IReadOnlyDictionary<string, string?> Settings) Split(IReadOnlyList<string> line)
    {
        var words = new List<string>();
        var settings = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < line.Count; i++)
        {
            var equals = line[i].IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? line[i] : line[i][..equals];
            if (!name.StartsWith("--", StringComparison.Ordinal) || !name.Contains(':', StringComparison.Ordinal))
            {
                words.Add(line[i]);
                continue;
            }
            if (ServiceArguments.FaultOf(name, s_sections) is { } fault)
                throw new UsageException(fault);
            if (equals < 0 && ++i == line.Count)
                throw new UsageException($"{name} needs a value");
            settings[name[2..]] = equals < 0 ? line[i] : line[i][(equals + 1)..];
        }
        return (words, settings);
    }

    /// <exception cref="StartupException">The settings file cannot be read.</exception>
    public static IConfigurationRoot Read(string folder, IReadOnlyDictionary<string, string?> settings)
    {
        try
        {
            return new ConfigurationBuilder()
                .AddInMemoryCollection([new($"ConnectionStrings:{ServiceHost.StoreConnection}", DataFolder.ConnectionStringOf(folder))])
                .SetBasePath(Directory.GetCurrentDirectory()).AddJsonFile("appsettings.json", optional: true, reloadOnChange: false)
                .AddEnvironmentVariables().AddInMemoryCollection(settings).Build();
        }
        catch (InvalidDataException unreadable)
        {
            throw new StartupException($"appsettings.json must be a JSON object of settings: {unreadable.GetBaseException().Message}", unreadable);
        }
    }
}
