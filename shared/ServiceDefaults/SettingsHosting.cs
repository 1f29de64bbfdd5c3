using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// The one way settings are bound: a section of configuration, an options class, its validator, checked at start. A key
/// that the class does not know is an error too, because a misspelt limit is a limit that does not hold.
/// </summary>
public static partial class SettingsHosting
{
    private const DynamicallyAccessedMemberTypes Reflected = DynamicallyAccessedMemberTypes.All;

    /// <summary>
    /// Binds <typeparamref name="TOptions"/> to <paramref name="section"/>, checks it with <typeparamref name="TValidator"/>
    /// (an <c>[OptionsValidator]</c> class) and stops the start when it does not pass.
    /// </summary>
    public static OptionsBuilder<TOptions> AddSettings<
        [DynamicallyAccessedMembers(Reflected)] TOptions,
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TValidator>(
        this IServiceCollection services, string section)
        where TOptions : class
        where TValidator : class, IValidateOptions<TOptions>
    {
        services.AddSingleton<IValidateOptions<TOptions>, TValidator>();
        return services.AddSettings<TOptions>(section);
    }

    /// <summary>Binds options that have nothing to check, or check themselves with <c>Validate</c>.</summary>
    public static OptionsBuilder<TOptions> AddSettings<[DynamicallyAccessedMembers(Reflected)] TOptions>(
        this IServiceCollection services, string section)
        where TOptions : class =>
        services.AddSingleton(new SettingsSection(section)).AddOptions<TOptions>()
            .Configure<IConfiguration>((options, configuration) => Bind(configuration, section, options))
            .ValidateOnStart();

    /// <summary>Names a section that is read outside of dependency injection, and how it is checked.</summary>
    /// <param name="check">Throws where the settings are not what is allowed.</param>
    public static void AddSettingsSection(this IServiceCollection services, string section, Action<IConfiguration> check) =>
        services.AddSingleton(new SettingsSection(section, check));

    /// <summary>Binds a section outside of dependency injection, by the same rules.</summary>
    public static TOptions ReadSettings<TOptions>(this IConfiguration configuration, string section)
        where TOptions : class, new()
    {
        var options = new TOptions();
        Bind(configuration, section, options);
        return options;
    }

    /// <summary>
    /// Checks all settings that <paramref name="add"/> adds before anything is built on one of them: what is built may end in a way
    /// that names no setting.
    /// </summary>
    /// <returns>The sections there are.</returns>
    /// <exception cref="OptionsValidationException">One is not there, or not what is allowed.</exception>
    public static IReadOnlyList<string> CheckSettings(this IConfiguration configuration, Action<IServiceCollection> add)
    {
        configuration.CheckSharedSections();
        var services = new ServiceCollection();
        services.AddSingleton(configuration);
        add(services);
        using var provider = services.BuildServiceProvider();
        provider.GetService<IStartupValidator>()?.Validate();
        foreach (var section in provider.GetServices<SettingsSection>())
            section.Check?.Invoke(configuration);
        return SectionsOf(provider);
    }

    /// <summary>The sections whose settings <paramref name="add"/> adds, and those of every program.</summary>
    internal static IReadOnlyList<string> SectionsOf(Action<IServiceCollection> add)
    {
        var services = new ServiceCollection();
        add(services);
        using var provider = services.BuildServiceProvider();
        return SectionsOf(provider);
    }

    private static IReadOnlyList<string> SectionsOf(ServiceProvider provider) =>
        [.. provider.GetServices<SettingsSection>().Select(section => section.Name), .. ServiceArguments.Shared];

    private sealed record SettingsSection(string Name, Action<IConfiguration>? Check = null);

    /// <summary>Checks the sections that belong to no options class: log levels and connection strings.</summary>
    /// <exception cref="StartupException">An unknown key, or a level that is none.</exception>
    public static void CheckSharedSections(this IConfiguration configuration)
    {
        foreach (var connection in configuration.GetSection("ConnectionStrings").GetChildren())
        {
            if (!s_connections.Contains(connection.Key, StringComparer.OrdinalIgnoreCase))
                throw new StartupException($"There is no connection string named '{connection.Path}'; there are {string.Join(", ", s_connections)}");
        }
        foreach (var child in configuration.GetSection("Logging").GetChildren())
        {
            // How .NET's own console writer formats: not used here, and set by Aspire for whatever it starts.
            if (child.Key.Equals("Console", StringComparison.OrdinalIgnoreCase))
                continue;
            if (!child.Key.Equals("LogLevel", StringComparison.OrdinalIgnoreCase))
                throw new StartupException($"There is no setting '{child.Path}'; there is Logging:LogLevel:CATEGORY");
            foreach (var level in child.GetChildren())
            {
                if (!Enum.TryParse<LogLevel>(level.Value, ignoreCase: true, out var parsed) || !Enum.IsDefined(parsed))
                    throw new StartupException($"{level.Path} is '{level.Value}'; it must be one of {string.Join(", ", Enum.GetNames<LogLevel>())}");
            }
        }
    }

    private static readonly string[] s_connections = [ServiceHost.StoreConnection, BusHosting.ConnectionName, "redis", "limits"];

    private static void Bind<TOptions>(IConfiguration configuration, string section, TOptions options)
        where TOptions : class
    {
        var known = configuration.GetSection(section);
        if (KnownSettings.FindUnknown(known, typeof(TOptions)).ToList() is { Count: > 0 } unknown)
            throw new OptionsValidationException(section, typeof(TOptions), unknown);
        var readable = InFormOfBinder(known, typeof(TOptions));
        try
        {
            // Without it the binder passes over entries of lists and dictionaries that it cannot read.
            readable.Bind(options, binder => binder.ErrorOnUnknownConfiguration = true);
        }
        catch (InvalidOperationException unreadable)
        {
            throw new OptionsValidationException(section, typeof(TOptions), [Describe(section, unreadable)]);
        }
    }

    private static IConfigurationSection InFormOfBinder(IConfigurationSection section, Type type)
    {
        if (KnownSettings.InFormOfBinder(section, type).ToList() is not { Count: > 0 } written)
            return section;
        return new ConfigurationBuilder()
            .AddInMemoryCollection(section.AsEnumerable().Where(setting => setting.Value is not null)).AddInMemoryCollection(written).Build()
            .GetSection(section.Path);
    }

    private static string Describe(string section, InvalidOperationException unreadable)
    {
        // What is wrong inside a list is the cause of a failure that names nothing.
        while (unreadable.InnerException is InvalidOperationException cause)
            unreadable = cause;
        if (Unconvertible().Match(unreadable.Message) is { Success: true } match)
            return $"{match.Groups["setting"].Value} is '{match.Groups["value"].Value}'; it must be {Allowed(match.Groups["type"].Value, match.Groups["setting"].Value)}";
        return $"Section {section}: {unreadable.Message}";
    }

    private static string Allowed(string type, string setting)
    {
        if (Nullable().Match(type) is { Success: true } nullable)
            type = nullable.Groups["inner"].Value;
        return type switch
        {
            "System.Boolean" => "true or false",
            "System.TimeSpan" => Units.TimeForm,
            "System.Int32" or "System.Int64" when setting.EndsWith("Bytes", StringComparison.OrdinalIgnoreCase) => Units.SizeForm,
            "System.Int32" or "System.Int64" => "a whole number",
            "System.Double" => "a number such as 0.5",
            _ => AppDomain.CurrentDomain.GetAssemblies().Select(assembly => assembly.GetType(type)).FirstOrDefault(found => found is { IsEnum: true }) is { } names
                ? "one of " + string.Join(", ", Enum.GetNames(names))
                : $"a {type.Split('.')[^1]}",
        };
    }

    // "Failed to convert configuration value 'x' at 'Ingress:MaxErrors' to type 'System.Int32'."
    [GeneratedRegex("configuration value '(?<value>.*)' at '(?<setting>[^']+)' to type '(?<type>[^']+)'", RegexOptions.Singleline)]
    private static partial Regex Unconvertible();

    [GeneratedRegex(@"^System\.Nullable`1\[\[?(?<inner>[^,\]]+)")]
    private static partial Regex Nullable();
}
