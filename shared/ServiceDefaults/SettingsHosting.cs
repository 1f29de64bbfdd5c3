using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// The one way settings are bound: a section of configuration, an options class, its validator, checked at start. A key
/// that the class does not know is an error too, because a misspelt limit is a limit that does not hold.
/// </summary>
public static class SettingsHosting
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

    /// <summary>The same for options that have nothing to check, or check themselves with <c>Validate</c>.</summary>
    public static OptionsBuilder<TOptions> AddSettings<[DynamicallyAccessedMembers(Reflected)] TOptions>(
        this IServiceCollection services, string section)
        where TOptions : class =>
        services.AddOptions<TOptions>()
            .Configure<IConfiguration>((options, configuration) => Bind(configuration, section, options))
            .ValidateOnStart();

    /// <summary>Binds a section outside of dependency injection, by the same rules.</summary>
    public static TOptions ReadSettings<TOptions>(this IConfiguration configuration, string section)
        where TOptions : class, new()
    {
        var options = new TOptions();
        Bind(configuration, section, options);
        return options;
    }

    private static void Bind<TOptions>(IConfiguration configuration, string section, TOptions options)
        where TOptions : class
    {
        try
        {
            configuration.GetSection(section).Bind(options, binder => binder.ErrorOnUnknownConfiguration = true);
        }
        catch (InvalidOperationException unreadable)
        {
            throw new OptionsValidationException(section, typeof(TOptions), [Describe(section, unreadable)]);
        }
    }

    private static string Describe(string section, InvalidOperationException unreadable)
    {
        // What is wrong inside a list is the cause of a failure that names nothing.
        while (unreadable.InnerException is InvalidOperationException cause)
            unreadable = cause;
        // "Failed to convert configuration value 'x' at 'Ingress:Port' to type 'System.Int32'." names setting and type.
        if (unreadable.InnerException is { } reason && !unreadable.Message.Contains("ErrorOnUnknownConfiguration", StringComparison.Ordinal))
            return $"{unreadable.Message} {reason.Message}";
        var list = unreadable.Message.LastIndexOf(": ", StringComparison.Ordinal);
        return list < 0
            ? $"Section {section}: {unreadable.Message}"
            : $"Section {section} has no setting named {unreadable.Message[(list + 2)..].TrimEnd('.')}";
    }
}
